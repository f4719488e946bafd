"""Guards: the house keeps its own rules."""
