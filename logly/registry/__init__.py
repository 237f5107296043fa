"""What records refer to by number: message templates and call sites, found by identity.

The caller registers them with the GIL held. The flusher reads what was published, without the GIL.
"""
