"""What differs between processors, operating systems and versions of CPython.

Atomics, eventcounts, locks, threads, clocks, descriptors. Any thread may use them. Nothing here imports from another
folder.
"""
