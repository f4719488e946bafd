"""Pixels to behavior in one call: the served model `behaviour` and what it is made of.

`stream` finds, follows and reads people with the very steps of the stages and cuts the same
windows; `judge` asks the recognizers about them; `spec` is what must be known to do so, written
beside the model; `bls` runs networks through the server that the model itself lives in; `model` is
what Triton calls. Nothing here needs torch, and nothing but `model` and `bls` knows of Triton.
"""
