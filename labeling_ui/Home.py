"""The first page: who is signed in."""

import streamlit as st

from labeling_ui.auth import current_user

st.set_page_config(page_title="vigil", layout="wide")
user = current_user()
if user is None:
    st.warning("Your session is over. Load the page again to sign in.")
    st.stop()
st.title("Labeling")
st.write(f"Signed in as **{user.name}**, {user.role}.")
