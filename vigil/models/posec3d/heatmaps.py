"""From normalized joints to a volume of heat maps, in operations that ONNX has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_REACH = 3.0  # sigmas; what lies farther is 0, as published, and no denormal number slows a CPU


class Heatmaps(nn.Module):
    """Draw every joint as a Gaussian, as high as its score; persons share a joint's channel.

    Where persons overlap the higher value stands. A missing joint has score 0 and draws nothing.
    """

    def __init__(self, size: int, sigma: float, margin: float) -> None:
        """Prepare the pixels' centers.

        Args:
            size: height and width in pixels.
            sigma: standard deviation in pixels.
            margin: room around [-1, 1], as a share of it.
        """
        super().__init__()
        self.size, self.sigma, self.margin = size, sigma, margin
        self.centers: Tensor
        centers = torch.arange(size, dtype=torch.float32)
        self.register_buffer("centers", centers, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Draw a batch.

        Args:
            x: (B, M, T, V, 3) float32: x and y in [-1, 1], score in [0, 1].

        Returns:
            (B, V, T, size, size) float32 in [0, 1]; rows are y.
        """
        place = (x[..., :2] / (1.0 + self.margin) + 1.0) * ((self.size - 1) / 2)
        away = (place.unsqueeze(-1) - self.centers) / self.sigma
        bell = torch.exp(away * away * -0.5) * (away.abs() <= _REACH).to(x.dtype)
        across, down = bell[..., 0, :], bell[..., 1, :] * x[..., 2:]
        drawn = torch.matmul(down[:, 0].unsqueeze(-1), across[:, 0].unsqueeze(-2))
        for person in range(1, x.shape[1]):
            other = torch.matmul(down[:, person].unsqueeze(-1), across[:, person].unsqueeze(-2))
            drawn = torch.maximum(drawn, other)
        return drawn.transpose(1, 2)
