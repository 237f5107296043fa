"""The flusher's thread: it takes records from the rings, routes them to sinks and writes.

The code here runs under the engine's lock, without the GIL. What a sink needs Python for is set as `work` on the sink,
and control/ does it later.
"""
