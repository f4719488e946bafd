"""The labeling UI over real sockets."""
