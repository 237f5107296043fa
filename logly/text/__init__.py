"""Values to bytes: numbers, format specifications, escapes, civil time.

Any thread may use these, with or without the GIL. They take no lock of logly's and know no engine.
"""
