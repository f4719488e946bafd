"""Tests of the served model from pixels to behavior."""
