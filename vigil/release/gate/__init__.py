"""The gate: is a candidate right, and is it not worse than what is served?

`contract` compares what the files say, `parity` what they compute, `quality` how often they are
right, `speed` how long they take; `judging` asks all of them for the verdict, `page` shows it.
"""
