"""Benchmark of recognizers: the same load on every way to run them, and what it may claim.

`systems` are the ways, `load` makes the requests, `statistics` counts, `report` writes and judges.
Nothing here knows which hardware it runs on; the report says it.
"""
