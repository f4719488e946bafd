"""The classes in words, for the CLIP that made the embeddings: prompts through its text network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config
from vigil.errors import InputError, ModelError
from vigil.paths import Paths
from vigil.prompts import Prompts, read_prompts
from vigil.session import OnnxSession, Session
from vigil.zero_shot import ZeroShot, ask

Tokenize = Callable[[list[str]], NDArray[np.int64]]


def ask_clip(config: Config, paths: Paths) -> ZeroShot:
    """Turn the project's prompts into vectors.

    Args:
        config: classes and the section `zero_shot`.
        paths: of the project; its CLIP must be there.

    Raises:
        InputError: bad prompts, see `vigil.prompts`, or one too long for CLIP.
        ModelError: a missing text network, or one that does not say what it is.
    """
    from vigil.perception.clip_network import tokenize

    prompts = read_prompts(paths.root / config.zero_shot.prompts, config.classes)
    return ask_session(prompts, OnnxSession(paths.clip_text), tokenize, config.normal_class)


def ask_session(prompts: Prompts, session: Session, tokenize: Tokenize, normal: str) -> ZeroShot:
    """Turn prompts into vectors by a loaded text network.

    Args:
        prompts: sentences of every class, in label order.
        session: from `tokens` (B, T) int64 to `embedding` (B, D) float32; its metadata holds `clip`
            and `logit_scale`.
        tokenize: sentences to (B, T) int64 tokens, 0 behind a sentence's end.
        normal: the class that is not an event.

    Raises:
        InputError: a prompt that fills all T tokens: its end was cut.
        ModelError: metadata without `clip` or with a `logit_scale` that is none.
    """
    notes = session.metadata
    try:
        clip, scale = notes["clip"], float(notes["logit_scale"])
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"zero_shot: expected a text network that tells its clip and logit_scale, got {error}"
        ) from error

    def encode(sentences: list[str]) -> NDArray[np.float32]:
        tokens = tokenize(sentences)
        cut = np.flatnonzero(tokens[:, -1])
        if len(cut):
            raise InputError(
                f"zero_shot: expected prompts of fewer than {tokens.shape[1]} tokens, got "
                f"{sentences[cut[0]]!r:.80}"
            )
        return np.asarray(session.run({"tokens": tokens})["embedding"], np.float32)

    return ask(prompts, lambda sentences: encode(list(sentences)), scale, normal, clip)
