"""Unsharp masking: add the difference between the image and its Gaussian blur.

result = image + amount * soft_threshold(image - blur(image, sigma), threshold)

``soft_threshold`` reduces every detail by the threshold and removes smaller ones, so that there is no edge between
pixels that are sharpened and pixels that are not.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stages.layers import gaussian_kernel
from stages.stage import Stage, StageConfig


class UnsharpMask(Stage):
    """Sharpening without weights.

    Args:
        sigma: Standard deviation of the blur in pixels.
        amount: How much of the detail is added; 0 is the identity.
        threshold: Details of fewer 8-bit gray levels, such as noise, are left alone.
    """

    kernel: Tensor
    halo: int

    def __init__(self, *, sigma: float, amount: float, threshold: float) -> None:
        super().__init__()
        self.amount = amount
        self.threshold = threshold / 255
        self.register_buffer("kernel", gaussian_kernel(sigma), persistent=False)
        self.halo = self.kernel.numel() // 2

    def forward(self, image: Tensor) -> Tensor:
        """Return the sharpened image, same shape; the border repeats its outermost pixels."""
        rows = self.kernel.view(1, 1, -1, 1).expand(3, -1, -1, -1)
        columns = self.kernel.view(1, 1, 1, -1).expand(3, -1, -1, -1)
        image = image.contiguous(memory_format=torch.channels_last)  # for the convolutions, five times as fast
        blurred = F.pad(image, (self.halo,) * 4, mode="replicate")
        for kernel in (rows, columns):
            blurred = F.conv2d(blurred, kernel, groups=3)
        detail = F.softshrink(blurred.neg_().add_(image), self.threshold)  # in place: it is the largest image of all
        return detail.mul_(self.amount).add_(image)


class UnsharpMaskConfig(StageConfig):
    """Options of ``stage: unsharp_mask``."""

    summary: ClassVar[str] = "sharpen: adds fine detail back"
    stage: Literal["unsharp_mask"] = "unsharp_mask"
    sigma: float = Field(1.0, gt=0, le=1000, description="standard deviation of the blur in pixels")
    amount: float = Field(0.4, ge=0, description="share of the detail that is added")
    threshold: float = Field(0.0, ge=0, description="details of fewer gray levels (of 255) are left alone")

    def build(self) -> UnsharpMask:
        """Build the module."""
        return UnsharpMask(**self.arguments())
