"""One file that outlives its process: its format, the checks of what a dead process left, names and locks."""
