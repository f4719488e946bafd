"""The labeling UI: Streamlit's pages and our own HTTP routes in one process on one port."""
