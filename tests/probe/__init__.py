"""The tests' view of the header-only data path: compiled with `LOGLY_BUILD=probe` only."""
