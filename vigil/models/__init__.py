"""The recognizers, by name. One folder is one plug-in; nothing is imported before it is asked for.

A plug-in is a module with `model_config(params, num_classes, train)`, which returns a config for
mmaction2's MODELS registry and whose import registers the classes that the config names. Its
parameters are the section of the same name below `models` in `params.yaml`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vigil.errors import InputError

if TYPE_CHECKING:
    from vigil.config import ModelsSection, Section, TrainSection

_PLUGINS = {"protogcn": "vigil.models.protogcn"}


def names() -> tuple[str, ...]:
    """Return the names of all recognizers."""
    return tuple(_PLUGINS)


def section(models: ModelsSection, name: str) -> Section:
    """Return the parameters of the recognizer `name`.

    Raises:
        InputError: no such recognizer.
    """
    if name not in _PLUGINS:
        raise InputError(f"model: expected one of {', '.join(_PLUGINS)}, got {name}")
    params: Section = getattr(models, name)
    return params


def model_config(
    models: ModelsSection, name: str, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of the recognizer `name`, its classes registered.

    Args:
        models: the section `models`.
        name: which recognizer.
        num_classes: classes.
        train: training parameters; without them the network is built as it is served.

    Raises:
        InputError: no such recognizer.
    """
    params = section(models, name)
    from vigil import compat

    compat.apply()
    config: dict[str, Any] = import_module(_PLUGINS[name]).model_config(params, num_classes, train)
    return config
