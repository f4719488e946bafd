"""Users of the project: add, change role or password, let in or not."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from labeling_ui.auth import Identity
from labeling_ui.service import running
from labeling_ui.views.blocks import table
from vigil.errors import VigilError
from vigil.labels.user_file import ROLES, User


def show(user: Identity) -> None:
    """Show everybody who may sign in, and the forms that change it."""
    users = running().doorkeeper.users
    known = users.list()
    if not known:
        st.info("Nobody has a password yet: whoever sits at this computer is the admin `local`. "
                "Add an admin first; from then on everybody signs in.")  # fmt: skip
    table(
        ["name", "role", "may sign in", "since"],
        [[one.name, one.role, "yes" if one.active else "no", one.added_at[:10]] for one in known],
        "", text=True,
    )  # fmt: skip
    left, right = st.columns(2, gap="large")
    with left:
        _add(user, first=not known)
    with right:
        if known:
            _change(user, known)


def _add(user: Identity, first: bool) -> None:
    st.subheader("Add")
    with st.form("add-user", clear_on_submit=True):
        name = st.text_input("Name", autocomplete="off")
        password = st.text_input("Password, 8 characters or more", type="password",
                                 autocomplete="new-password")  # fmt: skip
        role = st.selectbox("Role", ROLES, ROLES.index("admin" if first else "annotator"))
        if st.form_submit_button("Add", type="primary"):
            users = running().doorkeeper.users
            _attempt(lambda: users.add(name, password, role, user.name), f"{name} is added.")


def _change(user: Identity, known: list[User]) -> None:
    st.subheader("Change")
    users = running().doorkeeper.users
    by_name = {one.name: one for one in known}
    chosen = by_name[st.selectbox("User", list(by_name))]
    role = st.selectbox("Role", ROLES, ROLES.index(chosen.role), key=f"role-{chosen.name}")
    if role != chosen.role and st.button("Give this role"):
        _attempt(lambda: users.set_role(chosen.name, role, user.name), "The role is changed.")
    with st.form("password", clear_on_submit=True):
        password = st.text_input("New password", type="password", autocomplete="new-password")
        if st.form_submit_button("Set password"):
            _attempt(lambda: users.set_password(chosen.name, password, user.name),
                     "The password is set; sessions with the old one are over.")  # fmt: skip
    if st.button(f"Block {chosen.name}" if chosen.active else f"Let {chosen.name} in again"):
        _attempt(lambda: users.set_active(chosen.name, not chosen.active, user.name),
                 f"{chosen.name} is blocked; the votes stay." if chosen.active
                 else f"{chosen.name} may sign in.")  # fmt: skip


def _attempt(change: Callable[[], object], success: str) -> None:
    """Change the users, say so after the page is drawn anew; or say why not."""
    try:
        change()
    except VigilError as error:
        st.error(str(error))
        return
    st.toast(success)
    st.rerun()
