"""The tests of vigil; they mirror the rooms."""
