"""The list of videos."""

from __future__ import annotations

import streamlit as st

from labeling_ui.auth import Identity
from labeling_ui.components import component


def page(user: Identity) -> None:
    """Let somebody pick a video."""
    picked = component("videos")(key="videos", on_video_change=_nothing).video
    if picked:
        st.switch_page(st.session_state["pages"]["label"], query_params={"video": picked})


def _nothing() -> None:
    """Streamlit reports a pick only where something listens."""
