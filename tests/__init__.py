"""The tests. A folder that is called like one of `logly/` tests what is in that folder.

The others: `whole` runs programs from their first record to their end, with signals, threads and without memory;
`stdlib` is the bridge to `logging`; `frameworks` and `shippers` run other people's servers, workers and log shippers
beside logly; `house` looks after the source, the pages, the benchmarks and the public names; `fuzz` and `typing` have
their own programs. `support` holds what several files need, `probe` the compiled view of the header-only data path.
"""
