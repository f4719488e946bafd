"""SAM 2.1 in image mode: built from sam2's own description, prompted with boxes.

Knows: the variants, their weights files, and how a frame becomes the network's input and its
logits become masks (Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024). Does not
know: tracks, videos, files of the pipeline (`vigil.perception.segmenter`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vigil import compat
from vigil.errors import InputError, ModelError
from vigil.perception.sam2_crops import Crop, boxes_in_crop, crop_input, plan_crops

if TYPE_CHECKING:
    import torch

_CONFIGS = {
    "demo": "t",  # reduced by _DEMO below
    "tiny": "t",
    "small": "s",
    "base_plus": "b+",
    "large": "l",
}
_DEMO = {
    "image_size": 192,
    "image_encoder.trunk.embed_dim": 48,
    "image_encoder.trunk.stages": [1, 1, 2, 1],
    "image_encoder.trunk.global_att_blocks": [3],
    "image_encoder.trunk.window_spec": [8, 4, 12, 6],  # divides the input: no padding
    "image_encoder.neck.backbone_channel_list": [384, 192, 96, 48],
    "image_encoder.neck.fpn_top_down_levels": [0, 1, 2, 3],  # fine levels see the coarse ones
    "memory_attention.num_layers": 1,
}
_STABILITY = {  # what sam2's own builder adds for released weights
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}
_BOX_CORNERS = (2, 3)  # SAM's point labels of a box: top left, bottom right
_BOXES_PER_CALL = 16  # bounds the decoder's memory on crowded frames


def build_sam2(variant: str = "demo", video: bool = False) -> torch.nn.Module:
    """A SAM 2.1 with random weights, in evaluation mode on the CPU.

    Args:
        variant: `demo` (10 M parameters, 192 px), `tiny`, `small`, `base_plus` or `large`
            (1024 px).
        video: build sam2's video predictor instead of the bare network.

    Returns:
        `SAM2Base`, or `SAM2VideoPredictor`; both serve `predict_masks`.

    Raises:
        ModelError: no such variant.
    """
    if variant not in _CONFIGS:
        raise ModelError(f"sam2: variant: expected one of {', '.join(_CONFIGS)}, got {variant!r}")
    compat.bridge_torchvision()
    import sam2
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    name = f"configs/sam2.1/sam2.1_hiera_{_CONFIGS[variant]}.yaml"
    config: Any = OmegaConf.load(Path(sam2.__path__[0]) / name)
    if variant == "demo":
        for key, value in _DEMO.items():
            OmegaConf.update(config.model, key, value)
    else:
        config.model.sam_mask_decoder_extra_args = _STABILITY
    if video:
        config.model._target_ = "sam2.sam2_video_predictor.SAM2VideoPredictor"
        config.model.binarize_mask_from_pts_for_mem_enc = True
    model: torch.nn.Module = instantiate(config.model)
    return model.eval()


def load_sam2(path: Path, variant: str = "demo", video: bool = False) -> torch.nn.Module:
    """A SAM 2.1 with the weights of a file; no code in the file is run.

    Args:
        path: `.safetensors` state dict of ours, or an official `.pt` (`{"model": state dict}`).
        variant: as for `build_sam2`.
        video: as for `build_sam2`.

    Returns:
        The network in evaluation mode, float32, on the CPU.

    Raises:
        ModelError: the file is missing or does not fit the variant.
    """
    if not path.is_file():
        raise ModelError(f"sam2: {path}: expected a weights file, got none")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)["model"]
    model = build_sam2(variant, video)
    try:
        model.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"sam2: {path}: expected weights of {variant}, got {reason}") from error
    return model


def save_sam2(state: dict[str, torch.Tensor], path: Path) -> None:
    """Write a state dict as float16 safetensors, under a temporary name first.

    Args:
        state: named tensors of a SAM 2.1.
        path: ends in `.safetensors`.
    """
    from safetensors.torch import save_file

    partial = path.with_suffix(".partial")
    save_file({key: value.half().contiguous() for key, value in state.items()}, partial)
    partial.chmod(0o644)
    partial.replace(path)


def predict_masks(
    model: torch.nn.Module,
    rgb: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    crop: bool = True,
    max_crops: int = 2,
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """The mask of what each box holds.

    Args:
        model: a SAM 2.1 of `build_sam2` or `load_sam2`, on any device.
        rgb: (H, W, 3) uint8 in [0, 255].
        boxes: (N, 4) float32 xyxy, pixels of the frame.
        crop: look at the parts of the frame that hold boxes instead of all of it: for the small
            input of the demo network.
        max_crops: at most so many parts, each one pass of the encoder.

    Returns:
        masks: (N, H, W) bool, possibly empty; scores: (N,) float32, the network's own estimate of
        each mask's IoU, in [0, 1].

    Raises:
        InputError: an image or boxes of another shape.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise InputError(f"sam2: image: expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"sam2: boxes: expected (N, 4), got {boxes.shape}")
    import torch

    height, width = rgb.shape[:2]
    masks = np.zeros((len(boxes), height, width), dtype=np.bool_)
    scores = np.zeros(len(boxes), dtype=np.float32)
    if not len(boxes):
        return masks, scores
    network: Any = model
    if crop:
        crops = plan_crops(boxes, height, width, network.image_size, max_crops)
    else:
        crops = [Crop((0, 0, width, height), tuple(range(len(boxes))))]
    with torch.inference_mode():
        pixels = torch.stack([crop_input(rgb, c.region, network.image_size) for c in crops])
        features = encode(model, pixels.to(network.device))
        for part, logits, score in _decode(model, features, crops, boxes):
            left, top, right, bottom = part.region
            size = (bottom - top, right - left)
            large = torch.nn.functional.interpolate(logits, size, mode="bilinear")
            members = list(part.members)
            masks[members, top:bottom, left:right] = (large[:, 0] > 0).cpu().numpy()
            scores[members] = score[:, 0].float().cpu().numpy()
    return masks, np.clip(scores, 0, 1)


def encode(model: torch.nn.Module, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Image features for the mask decoder.

    Args:
        model: a SAM 2.1.
        pixels: (B, 3, S, S) of `crop_input`.

    Returns:
        (B, 32, S/4, S/4), (B, 64, S/8, S/8) and (B, 256, S/16, S/16).
    """
    network: Any = model
    _, features, _, sizes = network._prepare_backbone_features(network.forward_image(pixels))
    features[-1] = features[-1] + network.no_mem_embed
    return [
        feature.permute(1, 2, 0).reshape(len(pixels), -1, *size)
        for feature, size in zip(features, sizes, strict=True)
    ]


def decode(
    model: torch.nn.Module, features: Sequence[torch.Tensor], boxes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Masks of boxes, each with its own copy of the features.

    Args:
        model: a SAM 2.1.
        features: three tensors of `encode`, batch N.
        boxes: (N, 4) xyxy, pixels of the network's input.

    Returns:
        (N, 1, S/4, S/4) mask logits, (N, 1) estimated IoU, (N, 1) logit of an object being there.
    """
    import torch

    network: Any = model
    labels = torch.tensor([_BOX_CORNERS], dtype=torch.int32, device=boxes.device)
    sparse, dense = network.sam_prompt_encoder(
        points=(boxes.reshape(-1, 2, 2), labels.expand(len(boxes), 2)), boxes=None, masks=None
    )
    logits, iou, _, presence = network.sam_mask_decoder(
        image_embeddings=features[2],
        image_pe=network.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
        repeat_image=False,
        high_res_features=list(features[:2]),
    )
    return logits, iou, presence


def _decode(
    model: torch.nn.Module,
    features: Sequence[torch.Tensor],
    crops: Sequence[Crop],
    boxes: NDArray[np.float32],
) -> Iterator[tuple[Crop, torch.Tensor, torch.Tensor]]:
    """Per crop (or part of a crowded one): its members, their logits and estimated IoU."""
    import torch

    network: Any = model
    where = [(k, i) for k, c in enumerate(crops) for i in c.members]
    for start in range(0, len(where), _BOXES_PER_CALL):
        chunk = where[start : start + _BOXES_PER_CALL]
        prompts = np.concatenate(
            [boxes_in_crop(boxes[i : i + 1], crops[k].region, network.image_size) for k, i in chunk]
        )
        source = torch.tensor([k for k, _ in chunk], device=features[0].device)
        logits, iou, _ = decode(
            model,
            [feature[source] for feature in features],
            torch.from_numpy(prompts).to(features[0].device),
        )
        for k in dict.fromkeys(k for k, _ in chunk):
            rows = [row for row, (owner, _) in enumerate(chunk) if owner == k]
            members = tuple(chunk[row][1] for row in rows)
            yield Crop(crops[k].region, members), logits[rows].float(), iou[rows]
