"""What records name by number: message templates and call sites, found by identity.

The caller's thread registers, with the GIL; the flusher reads what was published, without it.
"""
