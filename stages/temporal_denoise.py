"""Denoise a video's frames by their neighbours, which show the same with other noise.

Each neighbour is brought onto the frame along the motion between them and averaged with it where it differs by no more
than noise does; see ``stages.temporal.averaging``. It belongs before a network that denoises, which removes the rest.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from stages.opencv import Array, map_windows
from stages.stage import Stage, StageConfig


class TemporalDenoise(Stage):
    """Averages each frame with what its neighbours show of the same, on the CPU, without weights.

    Args:
        radius: Frames on each side.
        noise_level: Standard deviation of white noise in 8-bit gray levels; ``auto`` to estimate it by brightness.
    """

    halo = None

    def __init__(self, *, radius: int, noise_level: Literal["auto"] | float) -> None:
        super().__init__()
        self.radius = radius
        self.noise_level = noise_level

    def forward(self, image: Tensor) -> Tensor:
        """Return the denoised frames, ``(B, 3, H, W)``, of windows, ``(B, 2 * radius + 1, 3, H, W)``."""
        return map_windows(self._denoise, image)

    def _denoise(self, window: list[Array]) -> Array:
        from stages.temporal.averaging import averaged  # OpenCV is slow to start

        return averaged(window, None if self.noise_level == "auto" else self.noise_level)


class TemporalDenoiseConfig(StageConfig):
    """Options of ``stage: temporal_denoise``."""

    summary: ClassVar[str] = "denoise: mean of video frames"
    stage: Literal["temporal_denoise"] = "temporal_denoise"
    radius: int = Field(3, ge=1, le=8, description="frames on each side that are averaged with each one")
    noise_level: Literal["auto"] | Annotated[float, Field(ge=0, le=75)] = Field(
        "auto", description="standard deviation of white noise in gray levels (of 255); auto: estimated, of any noise"
    )

    def build(self) -> TemporalDenoise:
        """Build the module."""
        return TemporalDenoise(**self.arguments())
