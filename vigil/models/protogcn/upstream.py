"""Read the published ProtoGCN weights (firework8/ProtoGCN, MIT) into this project's network.

    python -m vigil.models.protogcn.upstream ntu.pth models/ntu --layout nturgb+d
    python -m vigil.models.protogcn.upstream gym.pth models/protogcn --layout coco_new --stream j

The checkpoint is opened without running what a pickle may carry. OUT becomes a folder with
`model.safetensors`. For `coco` and `coco_new` it also gets `model.json` and is a trained recognizer
like any other: evaluated, exported and served, with the published conventions (pixels without
normalization, mean over both person slots, classes named by number). Either folder can begin a
training: `train.protogcn.init: OUT`. Weights for `nturgb+d` read 3-D joints, which no camera
gives; `network` runs them on arrays (N, M, T, V, 3).

Names of the published state dict, by module: `backbone.data_bn`; per block `gcn.A`, `alpha`,
`beta`, `pre`, `conv1` (query, row of the graph), `conv2` (key, column), `post`, `bn`, `down`;
`tcn.branches`, `add_coeff`, `transform`, `bn`; `residual`; `backbone.prn`, `post` and `bn` of the
prototype branch; `cls_head.fc_cls` and `csc_loss.cl_fc`. The class means of the contrastive loss
were never saved, so they start anew. A name that is not in this list is an error.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vigil.errors import ModelError, VigilError
from vigil.models import store
from vigil.models.layouts import LAYOUTS, layout
from vigil.models.preprocess import PUBLISHED_STREAMS
from vigil.models.protogcn.backbone import ProtoGCNBackbone
from vigil.models.protogcn.head import ProtoGCNHead
from vigil.models.protogcn.tcn import join_branches
from vigil.models.reading import SkeletonReading

_BLOCK = r"backbone\.gcn\.(\d+)\."
_NAMES = [
    (rf"{_BLOCK}gcn\.A", r"backbone.blocks.\1.gcn.graph"),
    (rf"{_BLOCK}gcn\.conv1\.", r"backbone.blocks.\1.gcn.query."),
    (rf"{_BLOCK}gcn\.conv2\.", r"backbone.blocks.\1.gcn.key."),
    (rf"{_BLOCK}gcn\.bn\.", r"backbone.blocks.\1.gcn.norm."),
    (rf"{_BLOCK}gcn\.down\.", r"backbone.blocks.\1.gcn.residual."),
    (rf"{_BLOCK}gcn\.(alpha|beta|pre|post)\b", r"backbone.blocks.\1.gcn.\2"),
    (rf"{_BLOCK}tcn\.add_coeff", r"backbone.blocks.\1.tcn.global_weight"),
    (rf"{_BLOCK}tcn\.transform\.", r"backbone.blocks.\1.tcn.fuse."),
    (rf"{_BLOCK}tcn\.bn\.", r"backbone.blocks.\1.tcn.norm."),
    (rf"{_BLOCK}tcn\.branches\.(\d)\.3\.conv\.", r"backbone.blocks.\1.tcn.branches.\2.3."),
    (rf"{_BLOCK}tcn\.branches\.", r"backbone.blocks.\1.tcn.branches."),
    (rf"{_BLOCK}residual\.conv\.", r"backbone.blocks.\1.residual.0."),
    (rf"{_BLOCK}residual\.bn\.", r"backbone.blocks.\1.residual.1."),
    (r"backbone\.data_bn\.", "backbone.data_bn."),
    (r"backbone\.prn\.query_matrix\.", "cls_head.reconstruction.query."),
    (r"backbone\.prn\.memory_matrix\.", "cls_head.reconstruction.memory."),
    (r"backbone\.post\.", "cls_head.reconstruction.fuse.0."),
    (r"backbone\.bn\.", "cls_head.reconstruction.fuse.1."),
    (r"cls_head\.fc_cls\.", "cls_head.fc."),
    (r"cls_head\.csc_loss\.cl_fc\.", "cls_head.contrast.embed."),
]
_POINTWISE = re.compile(r".*\.gcn\.(query|key)\.weight")
_BRANCHES = re.compile(r"(.*\.tcn\.)branches\.")


def read(path: Path) -> dict[str, Tensor]:
    """Read a published checkpoint and return its weights under this project's names.

    Args:
        path: the `.pth` file.

    Raises:
        ModelError: not a checkpoint that can be read safely, or one of another network.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        state = dict(found.get("state_dict", found))
    except Exception as error:  # a hostile or cut file can raise nearly anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ModelError(f"{path}: expected a ProtoGCN checkpoint, got {reason}") from error
    return convert(state)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published state dict; its six temporal branches are joined on the way.

    Raises:
        ModelError: a name that the published network does not have, or a missing one.
    """
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        ours = _renamed(name.removeprefix("module."))
        renamed[ours] = value.squeeze(-1) if _POINTWISE.fullmatch(ours) else value
    units = sorted({match[1] for name in renamed if (match := _BRANCHES.match(name))})
    try:
        for unit in units:
            joined = join_branches(renamed, f"{unit}branches.")
            renamed.update({unit + name: value for name, value in joined.items()})
    except KeyError as error:
        raise ModelError(f"protogcn: expected {error} among the weights, got none") from error
    return {name: value for name, value in renamed.items() if not _BRANCHES.match(name)}


def _renamed(name: str) -> str:
    """Return our name of a published weight."""
    for pattern, replacement in _NAMES:
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name, count=1)
    raise ModelError(f"protogcn: expected the published names, got {name}")


class Network(nn.Module):
    """Backbone and head on prepared skeletons, in two or three dimensions."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        """Put them one after the other."""
        super().__init__()
        self.backbone, self.cls_head = backbone, head

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, M, T, V, C) skeletons to (N, classes) logits, every person slot counted."""
        logits: Tensor = self.cls_head(self.backbone(x), present=x.new_ones(x.shape[:2]))
        return logits


def network(state: Mapping[str, Tensor]) -> Network:
    """Build the network that converted weights belong to, in their type and evaluation mode.

    Args:
        state: what `read` or `convert` returned; every size is taken from it.

    Raises:
        ModelError: weights are missing or do not fit each other.
    """
    try:
        sizes = _sizes(state)
        head_sizes = (len(state["cls_head.fc.weight"]), state["cls_head.fc.weight"].shape[1])
        trained = state.get("cls_head.reconstruction.query.weight")
        backbone = ProtoGCNBackbone(**sizes)
        head = ProtoGCNHead(
            *head_sizes, sizes["num_joints"], w_csc=0.0 if trained is None else 0.2,
            prototypes=1 if trained is None else len(trained), persons="all",
        )  # fmt: skip
        built = Network(backbone, head).to(state["cls_head.fc.weight"].dtype)
        missing, unexpected = built.load_state_dict(state, strict=False)
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"protogcn: expected a whole set of weights, got {reason}") from error
    wrong = [name for name in missing if name != "cls_head.contrast.means"] + unexpected
    if wrong:
        raise ModelError(f"protogcn: expected a whole set of weights, but {wrong[0]} is at odds")
    return built.eval()


def _sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of the backbone that the weights belong to."""
    graphs: list[Tensor] = []
    while (name := f"backbone.blocks.{len(graphs)}.gcn.graph") in state:
        graphs.append(state[name])
    widths = [len(state[f"backbone.blocks.{i}.gcn.post.weight"]) for i in range(len(graphs))]
    subsets, joints, _ = state["backbone.blocks.0.gcn.graph"].shape
    return {
        "num_joints": joints,
        "in_channels": len(state["backbone.data_bn.weight"]) // joints,
        "base_channels": widths[0],
        "stages": [widths.count(width) for width in sorted(set(widths))],
        "subsets": subsets,
    }


def write(state: dict[str, Tensor], out: Path, layout_name: str, stream: str) -> Network:
    """Write converted weights into the folder `out`; see the module.

    Returns:
        The network they belong to.

    Raises:
        InputError: no such layout.
        ModelError: the weights are not whole, or of a network with another number of joints.
    """
    from safetensors.torch import save_file

    built, table = network(state), layout(layout_name)
    sizes = _sizes(state)
    if sizes["num_joints"] != table.num_joints:
        raise ModelError(
            f"{layout_name}: expected weights for {table.num_joints} joints, "
            f"got {sizes['num_joints']}"
        )
    out.mkdir(parents=True, exist_ok=True)
    if table.sources is None:
        kept = {name: value.contiguous() for name, value in store.served(state).items()}
        save_file(kept, out / "model.safetensors")
        return built
    params = {
        "type": "protogcn", "layout": layout_name, "stream": stream, "norm": "pixels",
        "min_score": 0.0, "dropout": 0.0, "persons": "all", "w_csc": 0.0, "n_prototypes": 1,
        "base_channels": sizes["base_channels"], "stages": sizes["stages"], "alpha": 0.0,
    }  # fmt: skip
    classes = tuple(str(index) for index in range(len(state["cls_head.fc.weight"])))
    reads = SkeletonReading(100, 2, "loop")
    store.save(out, state, store.ModelSpec(out.name, classes, params, reads))
    return built


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert the file that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="published checkpoint, .pth")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--layout", required=True, choices=sorted(LAYOUTS))
    parser.add_argument(
        "--stream", default="j", choices=PUBLISHED_STREAMS, help="what it was trained on"
    )
    args = parser.parse_args(arguments)
    try:
        write(read(args.file), args.out, args.layout, args.stream)
    except VigilError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
