"""What differs between processors, operating systems and versions of CPython.

Atomics, eventcounts, locks, threads, clocks, descriptors. Any thread may use it. Nothing here knows another folder.
"""
