"""Judged, published, tried, taken back."""
