"""The compiled logger."""
