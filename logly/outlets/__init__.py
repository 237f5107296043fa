"""Batches of lines on their way out of the process: threads of their own, which the flusher never waits for."""
