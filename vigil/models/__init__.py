"""The recognizers, by type. One folder is one plug-in; nothing is imported before it is asked for.

A plug-in is a module with `model_config(params, num_classes, train)`, which returns a config for
mmaction2's MODELS registry and whose import registers the classes that the config names. Its
parameters are the sections of that `type` below `models` in `params.yaml`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vigil.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vigil.config import NetworkSection, TrainSection

_PLUGINS = {
    "protogcn": "vigil.models.protogcn",
    "stgcn": "vigil.models.stgcn",
    "stgcnpp": "vigil.models.stgcnpp",
    "aagcn": "vigil.models.aagcn",
    "ctrgcn": "vigil.models.ctrgcn",
    "posec3d": "vigil.models.posec3d",
    "clip_gru": "vigil.models.clip_gru",
    "kinematics": "vigil.models.kinematics",
}


def types() -> tuple[str, ...]:
    """Return the plug-ins there are: what `models.<name>.type` may be."""
    return tuple(_PLUGINS)


def section(models: Mapping[str, NetworkSection], name: str) -> NetworkSection:
    """Return the parameters of the recognizer `name`.

    Raises:
        InputError: no such recognizer.
    """
    if name not in models:
        raise InputError(f"model: expected one of {', '.join(models)}, got {name}")
    return models[name]


def model_config(
    params: NetworkSection, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of a recognizer, its classes registered.

    Args:
        params: the recognizer's section; its `type` says which plug-in builds it.
        num_classes: classes.
        train: training parameters; without them the network is built as it is served.
    """
    from vigil import compat

    compat.apply()
    plugin = import_module(_PLUGINS[params.type])
    config: dict[str, Any] = plugin.model_config(params, num_classes, train)
    return config
