"""Upscaling by interpolation: the baseline of every super-resolution network.

Bicubic is the field's own kernel (Keys 1981, a = -0.5; MATLAB's and Pillow's). Lanczos is the sinc function seen
through its own central lobe three times as wide (Duchon 1979): crisper, with faint ringing beside hard edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from stages.layers import BICUBIC_HALO, LANCZOS_HALO, keys_kernel, lanczos_kernel, polyphase_upscale
from stages.stage import Stage, StageConfig


class Upscale(Stage):
    """Upscaling without weights.

    Args:
        scale: Output pixels per input pixel and axis.
        kernel: Weights at distances in input pixels.
        support: Where the kernel becomes zero.
    """

    def __init__(self, *, scale: int, kernel: Callable[[Tensor], Tensor], support: int) -> None:
        super().__init__()
        self.scale = scale
        self.kernel = kernel
        self.support = self.halo = support

    def forward(self, image: Tensor) -> Tensor:
        """Return the upscaled image, ``(B, 3, scale * H, scale * W)``; the border repeats its outermost pixels."""
        return polyphase_upscale(image, self.scale, self.kernel, self.support)


class BicubicConfig(StageConfig):
    """Options of ``stage: bicubic``."""

    summary: ClassVar[str] = "upscale: cubic convolution"
    stage: Literal["bicubic"] = "bicubic"
    scale: Literal[2, 3, 4] = Field(2, description="output pixels per input pixel and axis")

    def build(self) -> Upscale:
        """Build the module."""
        return Upscale(scale=self.scale, kernel=keys_kernel, support=BICUBIC_HALO)


class LanczosConfig(StageConfig):
    """Options of ``stage: lanczos``."""

    summary: ClassVar[str] = "upscale: windowed sinc"
    stage: Literal["lanczos"] = "lanczos"
    scale: Literal[2, 3, 4] = Field(2, description="output pixels per input pixel and axis")

    def build(self) -> Upscale:
        """Build the module."""
        return Upscale(scale=self.scale, kernel=lanczos_kernel, support=LANCZOS_HALO)
