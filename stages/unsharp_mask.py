"""Unsharp masking: add back what a Gaussian blur takes away.

result = image + amount * (image - blur(image, sigma))
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stages.stage import Stage, StageConfig


def gaussian_kernel(sigma: float) -> Tensor:
    """Return the normalised one-dimensional Gaussian, cut at three standard deviations (pixels)."""
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return kernel / kernel.sum()


class UnsharpMask(Stage):
    """Sharpening without weights; the chain knows no difference.

    Args:
        sigma: Standard deviation of the blur in pixels.
        amount: How much of the detail is added; 0 is the identity.
    """

    kernel: Tensor

    def __init__(self, *, sigma: float, amount: float) -> None:
        super().__init__()
        self.amount = amount
        self.register_buffer("kernel", gaussian_kernel(sigma), persistent=False)
        self.radius = self.kernel.numel() // 2
        self.halo = self.radius

    def forward(self, image: Tensor) -> Tensor:
        """Return the sharpened image, same shape; the border repeats its outermost pixels."""
        rows = self.kernel.view(1, 1, -1, 1).expand(3, -1, -1, -1)
        columns = self.kernel.view(1, 1, 1, -1).expand(3, -1, -1, -1)
        padded = F.pad(image, (self.radius,) * 4, mode="replicate")
        blurred = F.conv2d(F.conv2d(padded, rows, groups=3), columns, groups=3)
        return image + self.amount * (image - blurred)


class UnsharpMaskConfig(StageConfig):
    """Options of ``stage: unsharp_mask``."""

    stage: Literal["unsharp_mask"] = "unsharp_mask"
    sigma: float = Field(1.0, gt=0, description="standard deviation of the blur in pixels")
    amount: float = Field(0.4, ge=0, description="share of the detail that is added")

    def build(self) -> UnsharpMask:
        """Build the module."""
        return UnsharpMask(**self.architecture())
