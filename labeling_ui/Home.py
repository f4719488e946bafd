"""The labeling UI's pages; Streamlit runs this file for each of them."""

from labeling_ui.views.shell import run

run()
