"""The standard library's `logging`, made fast: its calls, and its handlers served by the flusher.

This code runs on any thread with the GIL held. Whatever is not provably the same as `logging` goes `logging`'s own way.
"""
