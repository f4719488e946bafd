"""The labeling UI's pages; Streamlit runs this file for each of them."""

from labeling_ui.pages.shell import run

run()
