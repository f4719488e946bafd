"""Review: clips that annotators do not agree on, their votes side by side."""

from __future__ import annotations

from labeling_ui.auth import Identity
from labeling_ui.views.surface import surface


def page(user: Identity) -> None:
    """Show disputed clips; a key decides one, and no vote is touched."""
    surface("review", "Disputed clips")
