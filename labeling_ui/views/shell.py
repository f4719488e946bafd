"""What every page shares: who is signed in, the row of pages above, how much room there is."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from labeling_ui.auth import Identity, current_user
from labeling_ui.views import account, admin, dashboard, label, review, videos

_ICON = Path(__file__).parent.parent / "icon.png"  # else Streamlit asks a font server for one
# Streamlit leaves a hand's breadth of white above the page, which clips can use, and writes white
# on the dark theme's light blue, which nobody can read.
_ROOM = """<style>
.stMainBlockContainer { padding: 4.4rem 1.75rem 2rem; }
.stAppHeader { border-bottom: 1px solid rgba(128, 136, 148, .22); }
.stApp button[kind^="primary"]:enabled { background: #2456c7; border-color: #2456c7; color: #fff; }
.stApp button[kind^="primary"]:enabled:hover { background: #1d48ab; border-color: #1d48ab; }
</style>"""


def run() -> None:
    """Show the page that the address names, if this person may see it."""
    st.set_page_config(page_title="vigil", page_icon=_ICON, layout="wide")
    st.html(_ROOM)
    user = current_user()
    if user is None:
        st.warning("Your session is over. Load the page again to sign in.")
        st.stop()
    found = pages_of(user)
    st.session_state["pages"] = found
    st.navigation(list(found.values()), position="top").run()


def pages_of(user: Identity) -> dict[str, StreamlitPage]:
    """Return the pages that somebody may see, by name, in the order of the row above."""
    shown = [("videos", "Videos", ":material/video_library:", videos.page),
             ("label", "Label", ":material/label:", label.page),
             ("queue", "Queue", ":material/low_priority:", label.queue)]  # fmt: skip
    if user.may("reviewer"):
        shown.append(("review", "Review", ":material/balance:", review.page))
    shown.append(("dashboard", "Dashboard", ":material/monitoring:", dashboard.page))
    if user.may("admin"):
        shown.append(("admin", "Admin", ":material/settings:", admin.page))
    shown.append(("account", user.name, ":material/person:", account.page))
    return {
        name: st.Page(partial(page, user), title=title, icon=icon, url_path=name,
                      default=name == "videos")
        for name, title, icon, page in shown
    }  # fmt: skip
