"""Who one is, and the way out."""

from __future__ import annotations

import streamlit as st

from labeling_ui.auth import Identity
from labeling_ui.components import component

_MAY = {
    "annotator": "You label clips, and see how far the project is.",
    "reviewer": "You label clips, and decide where annotators do not agree.",
    "admin": "You label, review, and look after users, classes and what is published.",
}


def page(user: Identity) -> None:
    """Say who is signed in."""
    st.header("Signed in")
    st.text(f"{user.name}, {user.role}")
    st.caption(_MAY[user.role])
    component("account")(key="account")
