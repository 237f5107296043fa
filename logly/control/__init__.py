"""What Python does to one engine: it configures, starts, reports, stops, forks and recovers.

This code runs on any thread with the GIL held, and never during a log call. It changes what the flusher reads under
the engine's lock. No thread waits for that lock with the GIL held.
"""
