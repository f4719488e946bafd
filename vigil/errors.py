"""The errors vigil raises on purpose, each with the exit code a command ends with.

A message is one line a person can act on: `<where>: <what>: expected X, got Y`.
"""


class VigilError(Exception):
    """Base of every error that vigil raises on purpose; commands end with `exit_code`."""

    exit_code = 1


class InputError(VigilError):
    """What the user brought is unusable: footage, labels, parameters or arguments."""

    exit_code = 2


class ModelError(VigilError):
    """A network's file is missing, does not match its hash or answers what it must not."""

    exit_code = 3


class ServerError(VigilError):
    """The inference server did not start, did not answer or refused a request."""

    exit_code = 4


class ServerUnavailable(ServerError):
    """Nobody answers at the server's address, or the connection broke."""


class ModelNotFound(ServerError):
    """The server answers but does not serve this model or version."""


class InvalidRequest(ServerError):
    """The server refused the request's names, types or shapes."""


class DeadlineExceeded(ServerError):
    """The server did not answer within the client's time limit."""


class NotFound(InputError):
    """Nothing has this name or key."""


class Conflict(InputError):
    """What was asked contradicts what is already there."""


class StoreError(VigilError):
    """The label store cannot be read or written; nothing was acknowledged."""

    exit_code = 5


class StoreFull(StoreError):
    """No room is left on the disk for a label; nothing was acknowledged."""
