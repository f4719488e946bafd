"""The entry that Triton's own Python backend loads, copied into a version of the served model."""
