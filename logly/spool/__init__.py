"""The spool, a file that outlives its process: its format, names, locks, and the checks of what a dead process left."""
