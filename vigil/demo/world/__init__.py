"""Synthetic CCTV scenes: bodies, motions, rooms and cameras, rendered frame by frame.

`scenes.make_scene` is the door: it casts people into a room, and renders any frame with its truth.
"""
