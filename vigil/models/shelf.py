"""What the graph networks of the shelf share: the skeleton's graph and the recognizer's config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from vigil.models.layouts import Layout, layout
from vigil.models.preprocess import parse_streams

if TYPE_CHECKING:
    from vigil.config import GraphSection, RecognizerSection, TrainSection

Mode = Literal["stgcn_spatial", "spatial"]
_OWN = ("coco", "nturgb+d")  # layouts that mmaction2's Graph knows by name


def layout_of(params: RecognizerSection) -> Any:
    """Return the section's layout, a name or a mapping, as `vigil.models.layouts` takes it."""
    return params.model_dump(mode="json")["layout"]


def graph_head_config(params: GraphSection) -> dict[str, Any]:
    """Return the config of the head that graph networks share."""
    channels = params.base_channels * 2 ** (len(params.stages) - 1)
    return {"type": "PresentPersonsHead", "in_channels": channels, "persons": params.persons}


def graph_config(table: Layout, mode: Mode) -> dict[str, Any]:
    """Return the config of mmaction2's `Graph`.

    Args:
        table: the layout; mmaction2's own edges are taken where it knows the layout by name, the
            parents' elsewhere.
        mode: how the edges are partitioned: `stgcn_spatial` is ST-GCN's (same distance to the
            center or nearer, farther), `spatial` is self, inward and outward.
    """
    if table.name in _OWN:
        return {"layout": table.name, "mode": mode}
    edges = [(child, parent) for child, parent in enumerate(table.parents) if child != parent]
    described = {"num_node": table.num_joints, "inward": edges, "center": table.center}
    return {"layout": described, "mode": mode}


def stage_config(params: GraphSection) -> dict[str, Any]:
    """Return width and depth in the terms of mmaction2's ST-GCN family, which counts blocks."""
    starts = [sum(params.stages[:stage]) + 1 for stage in range(1, len(params.stages))]
    return {
        "base_channels": params.base_channels,
        "num_stages": sum(params.stages),
        "inflate_stages": starts,
        "down_stages": starts,
    }


def recognizer_config(
    params: RecognizerSection,
    num_classes: int,
    train: TrainSection | None,
    backbone: dict[str, Any],
    head: dict[str, Any],
) -> dict[str, Any]:
    """Return the config of a recognizer around a backbone.

    Args:
        params: the model's section.
        num_classes: classes.
        train: gives label smoothing; None for serving.
        backbone: the backbone's config without its input channels.
        head: the head's `type`, `in_channels` and what it takes beside.
    """
    return {
        "type": "SkeletonRecognizer",
        "layout": layout_of(params),
        "stream": params.stream,
        "norm": params.norm,
        "min_score": params.min_score,
        "backbone": backbone,
        "cls_head": {
            "num_classes": num_classes,
            "dropout": params.dropout,
            "label_smooth_eps": train.label_smoothing if train else 0.0,
            "topk": 1,
            **head,
        },
    }


def graph_recognizer_config(
    params: GraphSection,
    num_classes: int,
    train: TrainSection | None,
    kind: str,
    mode: Mode,
    **options: Any,
) -> dict[str, Any]:
    """Return the config of a recognizer whose backbone is one of the ST-GCN family.

    Args:
        params: the model's section.
        num_classes: classes.
        train: see `recognizer_config`.
        kind: the backbone's name in mmaction2's registry.
        mode: see `graph_config`.
        options: further arguments of the backbone.
    """
    backbone = {
        "type": kind,
        "graph_cfg": graph_config(layout(layout_of(params)), mode),
        "in_channels": 3 * len(parse_streams(params.stream)),
        "data_bn_type": "VC",  # persons share their statistics: their order means nothing
        **stage_config(params),
        **options,
    }
    return recognizer_config(params, num_classes, train, backbone, graph_head_config(params))
