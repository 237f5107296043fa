"""The flusher's thread: it takes records from the rings, routes them to sinks and writes.

Runs under the engine's lock, without the GIL. Whatever a sink wants of Python is left as `work` for control/.
"""
