"""Values to bytes: numbers, format specifications, escapes, civil time.

Any thread may use it, with or without the GIL. It takes no lock and knows no engine.
"""
