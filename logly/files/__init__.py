"""Log files on disk: opened, rotated, kept, compressed.

Runs on the flusher's thread with the GIL held, or on the housekeeper's; never during a log call.
"""
