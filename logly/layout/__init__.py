"""A record to a line: layouts, messages, JSON, logfmt.

Layouts are compiled by the thread that configures a sink. The flusher runs them without the GIL.
"""
