"""Publish a snapshot."""

from labeling_ui.auth import Identity


def show(user: Identity) -> None:
    """Stub."""
