"""The RTMO network itself: mmpose's, built from its packaged configurations, loaded and exported.

The only door to mmpose outside demo training. What runs afterwards is the ONNX file, with
`vigil.perception.rtmo` before and behind it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vigil.errors import ModelError

if TYPE_CHECKING:
    import torch

OPSET: Final = 17
IR_VERSION: Final = 8


@dataclass(frozen=True)
class Variant:
    """One size of RTMO.

    Attributes:
        config: file stem in mmpose's `configs/body_2d_keypoint/rtmo/body7`.
        input_size: width and height in pixels the weights were trained for.
        top_k: candidates per image that leave the exported graph.
    """

    config: str
    input_size: tuple[int, int]
    top_k: int


VARIANTS: Final[Mapping[str, Variant]] = {
    "demo": Variant("rtmo-t_8xb32-600e_body7-416x416", (512, 288), 100),
    "t": Variant("rtmo-t_8xb32-600e_body7-416x416", (416, 416), 100),
    "s": Variant("rtmo-s_8xb32-600e_body7-640x640", (640, 640), 100),
    "m": Variant("rtmo-m_16xb16-600e_body7-640x640", (640, 640), 100),
    "l": Variant("rtmo-l_16xb16-600e_body7-640x640", (640, 640), 100),
}


def build_rtmo(variant: str) -> torch.nn.Module:
    """Build mmpose's RTMO, freshly initialized, in evaluation mode.

    Args:
        variant: a key of `VARIANTS`; `demo` is RTMO-t narrowed to about 2.2 M parameters.

    Returns:
        A `BottomupPoseEstimator`: `loss(inputs, samples)`, `predict(inputs, samples)`.

    Raises:
        ModelError: there is no such variant.
    """
    if variant not in VARIANTS:
        raise ModelError(f"rtmo: variant: expected one of {', '.join(VARIANTS)}, got {variant!r}")
    from vigil import compat

    compat.apply()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these packages warn of each other's moved modules
        import mmpose.models
        from mmengine.config import Config
        from mmengine.logging import MMLogger
        from mmengine.registry import DefaultScope

    MMLogger.get_current_instance().setLevel("ERROR")  # else a line per initialized tensor
    folder = Path(mmpose.__file__).parent / ".mim/configs"
    stem = VARIANTS[variant].config
    config = Config.fromfile(folder / f"body_2d_keypoint/rtmo/body7/{stem}.py").model
    joints = str(folder / "_base_/datasets/coco.py")  # named relative to mmpose's sources there
    config.head.loss_oks.metainfo = config.head.assigner.oks_calculator.metainfo = joints
    config.backbone.init_cfg = None  # else it downloads YOLOX
    config.data_preprocessor.batch_augments = None
    if variant == "demo":
        _narrow(config)
    width, height = VARIANTS[variant].input_size
    config.test_cfg.input_size = (height, width)
    with DefaultScope.overwrite_default_scope("mmpose"):  # and nobody else's after this
        model: torch.nn.Module = mmpose.models.build_pose_estimator(config)
    return model.eval()


def _narrow(config: Any) -> None:
    """Shrink RTMO-t's model configuration in place to the demo's sizes."""
    widen, hidden, pose, feature = 0.25, 128, 128, 64
    fused = {"type": "SiLU", "inplace": True}  # Swish, in one operation instead of two
    config.backbone.act_cfg = config.head.head_module_cfg.act_cfg = fused
    config.backbone.widen_factor = widen
    config.neck.update(
        in_channels=[int(channels * widen) for channels in (256, 512, 1024)],
        widen_factor=widen,
        hidden_dim=hidden,
    )
    config.neck.encoder_cfg.self_attn_cfg.embed_dims = hidden
    config.neck.encoder_cfg.ffn_cfg.update(embed_dims=hidden, feedforward_channels=2 * hidden)
    config.neck.projector.update(in_channels=[hidden] * 2, out_channels=int(512 * widen))
    config.head.head_module_cfg.update(widen_factor=widen, pose_vec_channels=pose)
    config.head.dcc_cfg.update(
        in_channels=pose, feat_channels=feature, spe_channels=feature, num_bins=(96, 128)
    )
    config.head.dcc_cfg.gau_cfg.s = feature


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Load a state dict into a network of `build_rtmo`.

    Args:
        model: the network; changed in place.
        path: `.safetensors` (any float type) or mmpose's `.pth` (loaded with `weights_only`).

    Raises:
        ModelError: the file is missing or unreadable, or is not of this variant.
    """
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise ModelError(f"rtmo weights: {path}: expected a file, got none")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
    except Exception as error:  # each reader has its own family of errors
        reason = str(error).splitlines()[0]
        raise ModelError(f"rtmo weights: {path}: expected a state dict, got: {reason}") from error
    own = model.state_dict()
    wrong = [key for key, value in own.items() if key not in state or _differ(state[key], value)]
    if wrong:
        raise ModelError(
            f"rtmo weights: {path}: expected {len(own)} tensors of this variant, "
            f"got {len(wrong)} missing or of another shape, the first {wrong[0]}"
        )
    model.load_state_dict({key: state[key].to(value.dtype) for key, value in own.items()})


def _differ(a: torch.Tensor, b: torch.Tensor) -> bool:
    """True where two tensors differ in shape."""
    return a.shape != b.shape


def export_rtmo(
    variant: str,
    weights_path: Path,
    onnx_path: Path,
    input_size: tuple[int, int] | None = None,
) -> None:
    """Write the ONNX graph described in `vigil.perception.rtmo` (opset 17, IR 8).

    Args:
        variant: a key of `VARIANTS`.
        weights_path: see `load_weights`.
        onnx_path: where to; written under a temporary name and renamed.
        input_size: width and height in pixels, multiples of 32; the variant's own by default.

    Raises:
        ModelError: unknown variant, unusable weights, or an impossible input size.
    """
    model = build_rtmo(variant)
    load_weights(model, Path(weights_path))
    width, height = input_size or VARIANTS[variant].input_size
    if width % 32 or height % 32 or min(width, height) < 32:
        raise ModelError(f"rtmo: input_size: expected multiples of 32, got {width} x {height}")
    top_k = min(VARIANTS[variant].top_k, width * height // 256 + width * height // 1024)
    graph = _to_onnx(exportable(model, (width, height), top_k), (width, height))
    _declare(graph, {"boxes": (top_k, 4), "scores": (top_k,), "keypoints": (top_k, 17, 3)})
    metadata = {"model": "rtmo", "variant": variant, "input": "bgr 0-255", "keypoints": "coco17"}
    import onnx

    onnx.helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph)
    onnx_path = Path(onnx_path)
    onnx_path.parent.mkdir(parents=True, exist_ok=True)
    temporary = onnx_path.with_name(f".{onnx_path.name}.tmp")
    temporary.write_bytes(graph.SerializeToString())
    temporary.replace(onnx_path)


def _to_onnx(module: torch.nn.Module, size: tuple[int, int]) -> Any:
    """Trace with a dynamic batch axis; returns an `onnx.ModelProto` of opset 17 and IR 8."""
    import onnx
    import torch

    names = ["boxes", "scores", "keypoints"]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of every shape it takes as constant
        torch.onnx.export(
            module,
            (torch.zeros(2, 3, size[1], size[0]),),
            buffer,  # type: ignore[arg-type]  # documented to take a stream
            input_names=["input"],
            output_names=names,
            dynamic_axes={name: {0: "batch"} for name in ["input", *names]},
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load_from_string(buffer.getvalue())
    graph.ir_version = IR_VERSION
    return graph


def _declare(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Write the outputs' sizes behind the batch axis into the graph, which tracing leaves open."""
    for output in graph.graph.output:
        sizes = output.type.tensor_type.shape.dim[1:]
        for size, value in zip(sizes, shapes[output.name], strict=True):
            size.dim_value = value


def exportable(model: Any, size: tuple[int, int], top_k: int) -> torch.nn.Module:
    """Wrap an RTMO as the graph described in `vigil.perception.rtmo`.

    The K best cells are taken before the coordinate classifier, which is most of the head's cost.

    Args:
        model: a network of `build_rtmo`; switched to its deployed form in place.
        size: width and height in pixels of the input.
        top_k: candidates per image.
    """
    import torch

    model.test_cfg["input_size"] = (size[1], size[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid")  # mmpose's to mend
        model.switch_to_deploy()
    head = model.head

    class Graph(torch.nn.Module):
        """(batch, 3, H, W) to boxes, scores and keypoints of the K best cells."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.cells: torch.Tensor  # (cells, 2) xy
            self.strides: torch.Tensor  # (cells,)
            self.register_buffer("cells", head.flatten_priors)
            self.register_buffer("strides", head.flatten_stride)

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            logits, box_codes, _, visibility, vectors = head(self.model.extract_feat(image))
            flat = head._flatten_predictions
            scores, index = flat(logits).sigmoid().squeeze(-1).topk(top_k, dim=1)

            def pick(values: torch.Tensor) -> torch.Tensor:
                shape = index.unsqueeze(-1).expand(-1, -1, values.shape[-1])
                return values.gather(1, shape)

            cells = self.cells[index]
            strides = self.strides[index].unsqueeze(-1)
            codes = pick(flat(box_codes))
            center = codes[..., :2] * strides + cells
            extent = codes[..., 2:].exp() * strides
            padded = torch.cat([center, extent * head.bbox_padding], dim=-1)
            xy = head.dcc.forward_test(pick(flat(vectors)), padded, cells)
            xy = xy.reshape(-1, top_k, head.num_keypoints, 2)  # outside export, batch 1 is lost
            seen = pick(flat(visibility)).sigmoid().unsqueeze(-1)
            boxes = torch.cat([center - extent / 2, center + extent / 2], dim=-1)
            return boxes, scores, torch.cat([xy, seen], dim=-1)

    return Graph().eval()
