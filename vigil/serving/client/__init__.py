"""The client library: arrays and frames to a Triton server, answers and errors by cause back.

`Client` and `AsyncClient` speak HTTP or gRPC, keep deadlines and try again where that is safe;
`Batcher` lets many threads share requests; `RecognizerClient` names a recognizer's classes.
"""

from vigil.serving.client.aio import AsyncClient
from vigil.serving.client.batcher import Batcher
from vigil.serving.client.policy import Retry
from vigil.serving.client.recognizer import Prediction, RecognizerClient
from vigil.serving.client.stream import Ranked
from vigil.serving.client.sync import Client

__all__ = [
    "AsyncClient",
    "Batcher",
    "Client",
    "Prediction",
    "Ranked",
    "RecognizerClient",
    "Retry",
]
