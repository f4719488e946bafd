"""Administration: users, work, classes, gold clips, snapshots, backup, the audit log."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from labeling_ui.auth import Identity
from labeling_ui.service import running
from labeling_ui.views import admin_data, admin_publish, admin_users
from vigil.config.labeling import Consensus, Order
from vigil.errors import VigilError


def page(user: Identity) -> None:
    """Show what an admin looks after."""
    if not user.may("admin"):
        st.error("This page is for admins.")
        return
    parts = {
        "Work": _work,
        "Users": admin_users.show,
        "Classes": admin_data.classes,
        "Gold clips": admin_data.gold,
        "Publish": admin_publish.show,
        "Backup": admin_data.backup,
        "Audit log": admin_data.audit,
    }
    chosen = st.segmented_control(
        "Part", list(parts), default="Work", key="admin-part", label_visibility="collapsed"
    )
    try:
        parts[chosen or "Work"](user)
    except VigilError as error:
        st.error(str(error))


def _work(user: Identity) -> None:
    """Change how clips are dealt and shown; it holds at once, for everybody."""
    store = running().store
    now = store.settings()
    with st.form("work", border=False):
        left, right = st.columns(2, gap="large")
        with left:
            st.subheader("Queue")
            chosen = {
                "k": st.number_input("Annotators a clip", 1, 20, now.k),
                "order": st.selectbox("Order", get_args(Order), get_args(Order).index(now.order)),
                "gold_share": st.slider("Gold clips in the queue", 0.0, 0.5, now.gold_share, 0.01),
                "lease_s": st.number_input("Seconds a clip is kept for somebody", 10.0, 86400.0,
                                           now.lease_s, 60.0),
            }  # fmt: skip
        with right:
            st.subheader("What annotators see")
            chosen |= {
                "show_suggestions": st.toggle("Suggestions", now.show_suggestions),
                "accept_above": st.slider("Accept-all takes suggestions from", 0.0, 1.0,
                                          now.accept_above, 0.01),
                "silhouette_first": st.toggle("Silhouettes first", now.silhouette_first),
                "page_size": st.number_input("Clips a page", 1, 60, now.page_size),
            }  # fmt: skip
            st.subheader("Consensus")
            rules = get_args(Consensus)
            chosen |= {
                "consensus": st.selectbox("Rule", rules, rules.index(now.consensus)),
                "min_votes": st.number_input("Least votes", 1, 20, now.min_votes),
            }
        saved = st.form_submit_button("Save", type="primary")
    if saved:
        changed = {name: value for name, value in chosen.items() if value != getattr(now, name)}
        for name, value in changed.items():
            store.set_setting(name, value, user.name)
        st.success(f"Changed: {', '.join(changed)}." if changed else "Nothing has changed.")
