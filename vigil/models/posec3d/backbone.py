"""PoseC3D's backbone: mmaction2's SlowOnly behind heat maps made from joints."""

from __future__ import annotations

from collections.abc import Sequence

from mmaction.models.backbones import ResNet3dSlowOnly
from mmaction.registry import MODELS
from torch import Tensor, nn

from vigil.models.posec3d.heatmaps import Heatmaps


@MODELS.register_module()
class HeatmapSlowOnly(ResNet3dSlowOnly):  # type: ignore[misc]
    """Heat maps, then a 3-D residual network; every stage halves height and width.

    The published network has base 32, 4, 6 and 3 blocks, and maps of 56 pixels with sigma 0.6. The
    first stage looks at single frames, and the last of several halves the time.
    """

    def __init__(
        self,
        joints: int,
        base_channels: int = 32,
        stages: Sequence[int] = (4, 6, 3),
        size: int = 56,
        sigma: float = 0.6,
        margin: float = 0.25,
    ) -> None:
        """Build the backbone.

        Args:
            joints: joints V, the channels of the volume.
            base_channels: width of the first stage's inner convolutions.
            stages: blocks in each stage.
            size: see `Heatmaps`, as the next two.
            sigma: standard deviation of a joint.
            margin: room around the box.
        """
        depth = len(stages)
        super().__init__(
            pretrained=None, in_channels=joints, base_channels=base_channels, num_stages=depth,
            stage_blocks=tuple(stages), out_indices=(depth - 1,), conv1_stride_s=1,
            pool1_stride_s=1, inflate=(0, *(1,) * (depth - 1)), spatial_strides=(2,) * depth,
            temporal_strides=(*(1,) * (depth - 1), 2 if depth > 1 else 1), dilations=(1,) * depth,
            # mmcv's own Conv3d asks for the size of its input, which no trace can keep.
            conv_cfg={"type": nn.Conv3d},
        )  # fmt: skip
        self.heatmaps = Heatmaps(size, sigma, margin)

    def forward(self, x: Tensor) -> Tensor:
        """Map joints (B, M, T, V, 3), see `Heatmaps`, to features (B, C, T', H', W')."""
        features: Tensor = super().forward(self.heatmaps(x))
        return features
