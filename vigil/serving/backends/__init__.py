"""Backends for Triton; their files run inside the server, never in a process of vigil."""
