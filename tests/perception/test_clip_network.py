"""CLIP's graphs agree with open_clip, and files that do not fit are refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vigil import compat
from vigil.errors import ModelError
from vigil.perception import clip_network
from vigil.perception.clip_network import MEAN, STD, Clip
from vigil.session import OnnxSession


@pytest.fixture(scope="module")
def clip() -> Clip:
    torch.manual_seed(0)
    return clip_network.wrap(clip_network.build("demo"))


def crops(size: int, count: int = 5) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def open_clip_images(clip: Clip, batch: np.ndarray) -> np.ndarray:
    """What open_clip says of crops of its own size, prepared as its authors do."""
    pixels = (batch.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    with torch.no_grad():
        found = clip.model.encode_image(
            torch.from_numpy(pixels.transpose(0, 3, 1, 2)), normalize=True
        )
    return np.asarray(found.numpy())


def test_the_image_graph_says_what_open_clip_says(clip: Clip, tmp_path: Path) -> None:
    side = clip.image_size
    worst = clip_network.export_image(clip, "demo/clip", tmp_path / "i.onnx", side)
    assert worst <= clip_network.PARITY
    session = OnnxSession(tmp_path / "i.onnx")
    batch = crops(side)
    found = session.run({"crops": batch})["embedding"]
    np.testing.assert_allclose(found, open_clip_images(clip, batch), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert session.metadata["clip"] == "demo/clip"
    assert float(session.metadata["logit_scale"]) == pytest.approx(clip.logit_scale)
    assert session.outputs[0].shape == (None, clip.dim)


def test_crops_twice_as_large_are_shrunk_by_area_inside(clip: Clip, tmp_path: Path) -> None:
    side = clip.image_size
    clip_network.export_image(clip, "demo/clip", tmp_path / "i.onnx", 2 * side)
    small = crops(side, 3)
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    found = OnnxSession(tmp_path / "i.onnx").run({"crops": large})["embedding"]
    np.testing.assert_allclose(found, open_clip_images(clip, small), atol=1e-5)


def test_smaller_crops_are_grown_inside(clip: Clip, tmp_path: Path) -> None:
    clip_network.export_image(clip, "demo/clip", tmp_path / "i.onnx", clip.image_size // 2)
    flat = np.full((1, clip.image_size // 2, clip.image_size // 2, 3), 90, np.uint8)
    found = OnnxSession(tmp_path / "i.onnx").run({"crops": flat})["embedding"]
    grown = np.full((1, clip.image_size, clip.image_size, 3), 90, np.uint8)
    np.testing.assert_allclose(found, open_clip_images(clip, grown), atol=1e-5)


def test_a_size_that_does_not_divide_is_refused(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"embed\.crop_px: expected 72, less, or a multiple"):
        clip_network.export_image(clip, "demo/clip", tmp_path / "i.onnx", 100)
    assert not list(tmp_path.iterdir())


def test_the_text_graph_says_what_open_clip_says(clip: Clip, tmp_path: Path) -> None:
    clip_network.export_text(clip, "demo/clip", tmp_path / "t.onnx")
    tokens = clip_network.tokenize(["a person lying on the floor", "", "fight " * 100])
    assert tokens.shape == (3, 77)
    found = OnnxSession(tmp_path / "t.onnx").run({"tokens": tokens})["embedding"]
    with torch.no_grad():
        expected = clip.model.encode_text(torch.from_numpy(tokens), normalize=True).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_graph_that_differs_from_torch_is_not_written(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = clip_network.ImageGraph.forward

    def drifting(self: Any, batch: torch.Tensor) -> torch.Tensor:
        wrong = 0.0 if torch.onnx.is_in_onnx_export() else 0.01
        return honest(self, batch) + wrong

    monkeypatch.setattr(clip_network.ImageGraph, "forward", drifting)
    with pytest.raises(ModelError, match="expected ONNX Runtime to agree with torch"):
        clip_network.export_image(clip, "demo/clip", tmp_path / "i.onnx", clip.image_size)
    assert not list(tmp_path.iterdir())


def test_shipped_weights_come_back_as_they_were_saved(clip: Clip, tmp_path: Path) -> None:
    state = {name: value.half().contiguous() for name, value in clip.model.state_dict().items()}
    save_file(state, tmp_path / "c.safetensors")
    again = clip_network.load(tmp_path / "c.safetensors", "demo")
    batch = crops(clip.image_size, 2)
    np.testing.assert_allclose(
        open_clip_images(again, batch), open_clip_images(clip, batch), atol=0.01
    )


def test_an_official_file_is_loaded_by_open_clip_with_its_own_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI publishes TorchScript archives; this one has their layout and a tiny size."""
    compat.apply()
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(1)
    vision = CLIPVisionCfg(layers=1, width=64, patch_size=16, image_size=32)
    text = CLIPTextCfg(context_length=77, vocab_size=49408, width=64, heads=1, layers=1)
    model = CLIP(16, vision, text, quick_gelu=True).eval()
    mask = model.attn_mask
    del model.attn_mask  # no entry of OpenAI's files: there it is a constant of the code
    model.attn_mask = mask
    example = (torch.zeros(1, 3, 32, 32), torch.zeros(1, 77, dtype=torch.long))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, which is not what is tested
        torch.jit.trace(model, example, check_trace=False).save(tmp_path / "tiny.pt")
    monkeypatch.setitem(clip_network.DIMENSIONS, "ViT-B-32", 16)  # type: ignore[misc]
    found = clip_network.load(tmp_path / "tiny.pt", "ViT-B-32")
    assert (found.image_size, found.dim) == (32, 16)
    batch = crops(32, 2)
    np.testing.assert_allclose(
        open_clip_images(found, batch), open_clip_images(clip_network.wrap(model), batch), atol=5e-3
    )


@pytest.mark.parametrize("architecture", ["demo", "ViT-B-32"])
def test_a_file_that_is_no_clip_is_one_clear_line(tmp_path: Path, architecture: str) -> None:
    path = tmp_path / ("c.safetensors" if architecture == "demo" else "c.pt")
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match=f"expected {architecture}, got"):
        clip_network.load(path, architecture)


def test_an_unknown_variant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected one of .* got 'ViT-Z'"):
        clip_network.load(tmp_path / "c.pt", "ViT-Z")
