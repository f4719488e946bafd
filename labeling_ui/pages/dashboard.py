"""Stub."""

from labeling_ui.auth import Identity


def page(user: Identity) -> None:
    """Stub."""
