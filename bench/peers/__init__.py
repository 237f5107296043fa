"""One module per library: `LABEL`, `DISTRIBUTION`, and `setup(path, scenario) -> harness.scenarios.Session`.

`NOTE`, where there is one, says in the report what the library does differently from what it was asked for.
A module imports its library at the top, so that `ImportError` says the peer is not to be had here.
"""
