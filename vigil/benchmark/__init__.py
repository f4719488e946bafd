"""Benchmark of served models: the same load on every way to run them, and what it may claim.

`schedule` says when requests are made and `generator` makes them, over `http_lane`, `grpc_lane`,
`shared_memory` or in this process (`systems`); a `window` holds what came of them. `measure` takes
windows by turns, `statistics` and `row` count, `search` looks for the highest rate, `claims` says
what a gain may be called, `report`, `charts` and `pages` write. `run` is the whole for one network,
`served` for any served model. Nothing here knows which hardware it runs on; the report says it.
"""
