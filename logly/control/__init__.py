"""Python's hand on one engine: configure, start, report, stop, fork, recover.

Any thread with the GIL, never during a log call. What the flusher reads is changed under the engine's lock, which
nobody waits for with the GIL held.
"""
