"""The byte ring and the records in it: the only memory that the caller's thread and the flusher's thread both touch.

The caller writes, the flusher reads. Neither takes a lock for that; positions are published with release and acquire.
"""
