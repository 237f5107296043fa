"""A record to a line: layouts, messages, JSON, logfmt.

Layouts are compiled on the thread that configures a sink and run on the flusher's thread without the GIL.
"""
