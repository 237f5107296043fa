"""What `logging` does with a call, done by logly: routes, served handlers, `install`.

This code runs on any thread with the GIL held. Whatever is not provably the same as `logging` goes `logging`'s own way.
"""
