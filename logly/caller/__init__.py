"""A log call, on the thread that logs, with the GIL held.

Whatever may run Python code comes before the reservation in the ring. Between reservation and commit nothing allocates,
locks, calls the system or runs Python code.
"""
