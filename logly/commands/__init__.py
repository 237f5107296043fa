"""The commands of `python -m logly`."""
