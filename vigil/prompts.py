"""What CLIP is asked: sentences per class, in a YAML file that people edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vigil.errors import InputError

Prompts = dict[str, tuple[str, ...]]


def read_prompts(path: Path, classes: Sequence[str]) -> Prompts:
    """Read a mapping of every class to a list of sentences.

    Args:
        path: YAML file, `<class>: [sentence, ...]`.
        classes: class names in label order.

    Returns:
        At least one sentence per class, in the order of `classes`, without surrounding spaces.

    Raises:
        InputError: unreadable YAML, a class that is unknown or missing, or a class whose list is
            empty or holds anything but text, or one sentence twice.
    """
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{path}: expected readable YAML, got {text}") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected a list of prompts per class, got {type(raw).__name__}")
    unknown = [str(name) for name in raw if name not in classes]
    if unknown:
        raise InputError(
            f"{path}: expected the classes {', '.join(classes)}, got {', '.join(unknown)}"
        )
    return {name: _sentences(path, name, raw.get(name)) for name in classes}


def _sentences(path: Path, name: str, found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not found:
        given = "an empty list" if found == [] else "none" if found is None else repr(found)
        raise InputError(f"{path}: {name}: expected a list of at least one prompt, got {given:.80}")
    bad = [sentence for sentence in found if not isinstance(sentence, str) or not sentence.strip()]
    if bad:
        raise InputError(f"{path}: {name}: expected sentences, got {bad[0]!r:.80}")
    sentences = tuple(sentence.strip() for sentence in found)
    twice = next((one for one in sentences if sentences.count(one) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: {name}: expected each prompt once, got {twice!r:.80} twice")
    return sentences
