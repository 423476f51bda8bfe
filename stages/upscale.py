"""Enlargement by interpolation: what every super-resolution network has to beat.

Bicubic is the field's own kernel (Keys 1981, a = -0.5; MATLAB's and Pillow's). Lanczos is the sinc function seen
through its own central lobe three times as wide (Duchon 1979): crisper, with faint ringing beside hard edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from stages.layers import BICUBIC_HALO, keys_kernel, polyphase_upscale
from stages.stage import Stage, StageConfig

_LANCZOS_LOBES = 3


def lanczos_kernel(distance: Tensor) -> Tensor:
    """Lanczos kernel of three lobes, zero from a distance of 3."""
    window = torch.sinc(distance / _LANCZOS_LOBES)
    return torch.where(distance.abs() < _LANCZOS_LOBES, torch.sinc(distance) * window, torch.zeros_like(distance))


class Upscale(Stage):
    """Enlargement without weights.

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
        """Return the image enlarged, ``(B, 3, scale * H, scale * W)``; the border repeats its outermost pixels."""
        return polyphase_upscale(image, self.scale, self.kernel, self.support)


class BicubicConfig(StageConfig):
    """Options of ``stage: bicubic``."""

    summary: ClassVar[str] = "upscale: cubic convolution"
    stage: Literal["bicubic"] = "bicubic"
    scale: Literal[2, 3, 4] = Field(2, description="enlargement")

    def build(self) -> Upscale:
        """Build the module."""
        return Upscale(scale=self.scale, kernel=keys_kernel, support=BICUBIC_HALO)


class LanczosConfig(StageConfig):
    """Options of ``stage: lanczos``."""

    summary: ClassVar[str] = "upscale: windowed sinc"
    stage: Literal["lanczos"] = "lanczos"
    scale: Literal[2, 3, 4] = Field(2, description="enlargement")

    def build(self) -> Upscale:
        """Build the module."""
        return Upscale(scale=self.scale, kernel=lanczos_kernel, support=_LANCZOS_LOBES)
