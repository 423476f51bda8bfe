"""Deblur a video's frames by sharper neighbours: blur by shaking and by motion changes from frame to frame.

Each neighbour is brought onto the frame along the motion between them and lends the detail that it shows more of; see
``stages.temporal.fusion``. It belongs behind what denoises, because noise is detail, and before what deblurs the rest.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from stages.opencv import Array, map_windows
from stages.stage import Stage, StageConfig


class TemporalFusion(Stage):
    """Gives each frame the detail of its sharper neighbours, on the CPU, without weights.

    Args:
        radius: Frames on each side.
    """

    halo = None

    def __init__(self, *, radius: int) -> None:
        super().__init__()
        self.radius = radius

    def forward(self, image: Tensor) -> Tensor:
        """Return the sharper frames, ``(B, 3, H, W)``, of windows, ``(B, 2 * radius + 1, 3, H, W)``."""
        return map_windows(self._fuse, image)

    def _fuse(self, window: list[Array]) -> Array:
        from stages.temporal.fusion import fused  # OpenCV is slow to start

        return fused(window)


class TemporalFusionConfig(StageConfig):
    """Options of ``stage: temporal_fusion``."""

    summary: ClassVar[str] = "deblur: sharper frames' detail"
    stage: Literal["temporal_fusion"] = "temporal_fusion"
    radius: int = Field(2, ge=1, le=8, description="frames on each side that lend their detail")

    def build(self) -> TemporalFusion:
        """Build the module."""
        return TemporalFusion(**self.arguments())
