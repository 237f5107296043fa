"""One module per library: `LABEL`, `DISTRIBUTION`, and `setup(path, scenario) -> harness.Session`.

A module imports its library at the top, so that `ImportError` says the peer is not to be had here.
"""
