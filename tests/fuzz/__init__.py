"""Fuzz targets with oracles, and the driver that runs them: `python -m tests.fuzz --help`.

A case is made from three things, the target's name, a seed and the case's number, so each can be run again by itself.
A target is run in a process of its own, so that a crash and a hang are findings too, and the driver knows which case it
was.
"""
