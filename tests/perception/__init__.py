"""Perception: from frames to people, masks and joints."""
