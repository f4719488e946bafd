"""CLIP-GRU as a plug-in: a GRU or a temporal transformer over CLIP embeddings of tracks."""

from __future__ import annotations

from typing import Any

from vigil.config import ClipGRUSection, TrainSection
from vigil.models.clip_gru.encoder import EmbeddingEncoder
from vigil.models.clip_gru.head import SequenceHead
from vigil.models.clip_gru.recognizer import SequenceRecognizer

__all__ = ["EmbeddingEncoder", "SequenceHead", "SequenceRecognizer", "model_config"]


def model_config(
    params: ClipGRUSection, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of the recognizer; see `vigil.models.model_config`."""
    both = params.bidirectional and params.encoder == "gru"
    return {
        "type": "SequenceRecognizer",
        "backbone": {
            "type": "EmbeddingEncoder",
            "dim": params.dim,
            "kind": params.encoder,
            "hidden": params.hidden,
            "layers": params.layers,
            "bidirectional": params.bidirectional,
            "heads": params.heads,
            "dropout": params.dropout,
            "noise": params.noise,
            "drop": params.drop,
        },
        "cls_head": {
            "type": "SequenceHead",
            "num_classes": num_classes,
            "in_channels": params.hidden * (2 if both else 1),
            "how": params.head,
            "both": both,
            "heads": params.heads,
            "dropout": params.dropout,
            "learn": params.learn,
            "pooling": params.pool,
            "top_k": params.top_k,
            "normal": params.normal,
            "label_smooth_eps": train.label_smoothing if train else 0.0,
            "topk": 1,
        },
    }
