"""Synthetic CCTV scenes with ground truth, and the small weights trained on them."""
