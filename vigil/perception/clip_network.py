"""CLIP's two networks in torch, by open_clip: building, loading, and export to ONNX.

Knows: variants, official and shipped files, the graphs' inputs and outputs. Does not know: crops,
prompts or videos. The graphs:

- image: `crops` (B, S, S, 3) uint8 RGB -> `embedding` (B, D) float32 of length 1. Resizing to the
  network's own side, CLIP's mean and deviation and the normalization lie inside.
- text: `tokens` (B, 77) int64 -> `embedding` (B, D) float32 of length 1.

Both carry `clip` (the variant's registry name), `dim` and `logit_scale` as metadata.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vigil.compat import apply
from vigil.errors import ModelError
from vigil.schema import atomic

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
OPSET, IR_VERSION = 17, 8
PARITY: Final = 1e-4  # largest difference between torch and ONNX Runtime in a vector of length 1
_BATCHES: Final = (1, 2, 3, 8)

DEMO: Final[dict[str, Any]] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 72, "width": 24, "layers": (1, 1, 1, 1), "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 48, "heads": 2, "layers": 2},
}
DIMENSIONS: Final = {"demo": 128, "ViT-B-32": 512, "ViT-B-16": 512, "ViT-L-14": 768}


@dataclass(frozen=True)
class Clip:
    """A CLIP in torch.

    Attributes:
        model: open_clip's `CLIP`, in float32 and evaluation mode.
        image_size: side in pixels that its image tower takes.
        dim: length of its vectors.
        logit_scale: what cosines are multiplied by before a softmax.
    """

    model: Any
    image_size: int
    dim: int
    logit_scale: float


def wrap(model: Any) -> Clip:
    """Read the sizes off open_clip's model and put it into evaluation mode."""
    size = model.visual.image_size
    side = int(size[0] if isinstance(size, (tuple, list)) else size)
    dim = int(model.text_projection.shape[1])
    return Clip(model.float().eval(), side, dim, float(model.logit_scale.detach().exp()))


def build(architecture: str) -> Any:
    """Return open_clip's model of a variant with fresh weights.

    Raises:
        ModelError: the variant is unknown.
    """
    if architecture not in DIMENSIONS:
        raise ModelError(f"clip: expected one of {list(DIMENSIONS)}, got {architecture!r}")
    apply()
    import open_clip

    if architecture == "demo":
        return open_clip.model.CLIP(**DEMO)
    return open_clip.create_model(architecture, precision="fp32", force_quick_gelu=True)


def load(path: Path, architecture: str) -> Clip:
    """Load a shipped (safetensors) or an official (OpenAI's TorchScript) file.

    Args:
        path: a file whose hash has been verified.
        architecture: one of DIMENSIONS.

    Raises:
        ModelError: the variant is unknown or the file does not fit it.
    """
    if architecture not in DIMENSIONS:
        raise ModelError(f"clip: expected one of {list(DIMENSIONS)}, got {architecture!r}")
    apply()
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            model = build(architecture)
            model.load_state_dict({k: v.float() for k, v in load_file(path).items()})
        else:
            import open_clip

            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=DeprecationWarning)
                warnings.filterwarnings("ignore", category=FutureWarning)
                model = open_clip.load_openai_model(str(path), precision="fp32", device="cpu")
    except Exception as error:  # torch, safetensors and open_clip raise unrelated classes
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"clip: {path.name}: expected {architecture}, got {reason}") from error
    clip = wrap(model)
    if clip.dim != DIMENSIONS[architecture]:
        raise ModelError(
            f"clip: {path.name}: expected vectors of {DIMENSIONS[architecture]} numbers "
            f"({architecture}), got {clip.dim}"
        )
    return clip


def tokenize(texts: list[str]) -> NDArray[np.int64]:
    """Return the (N, 77) int64 tokens of sentences; longer ones are cut. Works without network."""
    apply()
    from open_clip.tokenizer import SimpleTokenizer

    return np.asarray(SimpleTokenizer()(texts, context_length=77).numpy(), dtype=np.int64)


class ImageGraph(nn.Module):
    """Image tower with its preparation: (B, S, S, 3) uint8 RGB to (B, D) float32 of length 1."""

    mean: Tensor
    std: Tensor

    def __init__(self, clip: Clip, crop_px: int) -> None:
        """Prepare for crops of a side.

        Args:
            clip: the network.
            crop_px: side S of the crops in pixels: the network's own, smaller (grown bicubically),
                or a multiple of it (shrunk by area).

        Raises:
            ModelError: a larger side that is no multiple.
        """
        super().__init__()
        if crop_px > clip.image_size and crop_px % clip.image_size:
            raise ModelError(
                f"embed.crop_px: expected {clip.image_size}, less, or a multiple of it, "
                f"got {crop_px}"
            )
        self.visual = clip.model.visual
        self.crop_px, self.size = crop_px, clip.image_size
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1) * 255)

    def forward(self, crops: Tensor) -> Tensor:
        """Embed (B, S, S, 3) uint8 crops."""
        images = crops.permute(0, 3, 1, 2).float()
        if self.crop_px > self.size:
            images = nn.functional.avg_pool2d(images, self.crop_px // self.size)
        elif self.crop_px < self.size:
            images = nn.functional.interpolate(
                images, size=(self.size, self.size), mode="bicubic", align_corners=False
            ).clamp(0, 255)
        features = self.visual((images - self.mean) / self.std)
        return nn.functional.normalize(features, dim=-1)


class TextGraph(nn.Module):
    """Text tower: (B, 77) int64 tokens to (B, D) float32 of length 1."""

    def __init__(self, clip: Clip) -> None:
        """Take the network's text tower."""
        super().__init__()
        self.model = clip.model

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed (B, 77) int64 tokens."""
        return nn.functional.normalize(self.model.encode_text(tokens), dim=-1)


def export_image(clip: Clip, name: str, target: Path, crop_px: int) -> float:
    """Write the image tower as ONNX and prove it equal to torch at several batch sizes.

    Args:
        clip: the network.
        name: registry name, kept as metadata.
        target: the `.onnx` file.
        crop_px: side of the crops in pixels.

    Returns:
        The largest difference seen.

    Raises:
        ModelError: ONNX Runtime differs from torch by more than PARITY, or `crop_px` does not fit.
    """
    rng = np.random.default_rng(0)
    shape = (max(_BATCHES), crop_px, crop_px, 3)
    example = rng.integers(0, 256, shape, dtype=np.uint8)
    return _export(ImageGraph(clip, crop_px), example, "crops", clip, name, target)


def export_text(clip: Clip, name: str, target: Path) -> float:
    """Write the text tower as ONNX; see `export_image`."""
    texts = [f"a photo of a person who is number {number}" for number in range(max(_BATCHES))]
    return _export(TextGraph(clip), tokenize(texts), "tokens", clip, name, target)


def _export(
    graph: nn.Module, example: NDArray[Any], feed: str, clip: Clip, name: str, target: Path
) -> float:
    import onnx

    graph.eval()
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic(target) as partial:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph, (torch.from_numpy(example[:2]),), str(partial), dynamo=False,
                opset_version=OPSET, input_names=[feed], output_names=["embedding"],
                dynamic_axes={feed: {0: "batch"}, "embedding": {0: "batch"}},
            )  # fmt: skip
        model = onnx.load(str(partial))
        model.ir_version = IR_VERSION
        notes = {"clip": name, "dim": str(clip.dim), "logit_scale": f"{clip.logit_scale:.9g}"}
        onnx.helper.set_model_props(model, notes)
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = clip.dim
        onnx.save(model, str(partial))
        return _parity(graph, example, feed, partial, target.name)


def _parity(graph: nn.Module, example: NDArray[Any], feed: str, path: Path, name: str) -> float:
    from vigil.session import OnnxSession

    session = OnnxSession(path, device="cpu")
    worst = 0.0
    for size in _BATCHES:
        batch = np.ascontiguousarray(example[:size])
        with torch.no_grad():
            expected = cast(Tensor, graph(torch.from_numpy(batch))).numpy()
        found = session.run({feed: batch})["embedding"]
        worst = max(worst, float(np.abs(found - expected).max()))
    if not worst <= PARITY:
        raise ModelError(
            f"clip: {name}: expected ONNX Runtime to agree with torch within {PARITY}, got "
            f"{json.dumps(worst)}"
        )
    return worst
