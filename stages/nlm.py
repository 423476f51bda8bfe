"""Non-local means: Buades, Coll, Morel, "A Non-Local Algorithm for Image Denoising", CVPR 2005.
https://doi.org/10.1109/CVPR.2005.38

Every pixel becomes the mean of those around it whose patches look alike. OpenCV's fast version for colour images
works in 8 bits, on L and on ab of CIE Lab: the result has at most 256 levels, whatever the image had.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor

from stages.opencv import Array, map_arrays
from stages.stage import Stage, StageConfig


class NonLocalMeans(Stage):
    """Denoiser without weights, on the CPU; the classic baseline.

    Args:
        h: Filter strength for lightness in 8-bit gray levels; best at about 0.7 of the noise's sigma.
        h_color: The same for colour.
        patch: Side in pixels of the patches that are compared; odd.
        search: Side in pixels of the square they are searched in; odd. Time grows with its area.
    """

    def __init__(self, *, h: float, h_color: float, patch: int, search: int) -> None:
        super().__init__()
        self.h = h
        self.h_color = h_color
        self.patch = patch
        self.search = search
        self.halo = patch // 2 + search // 2

    def forward(self, image: Tensor) -> Tensor:
        """Return the denoised image, same shape, in 8-bit steps."""
        return map_arrays(self._denoise, image)

    def _denoise(self, image: Array) -> Array:
        import cv2  # not needed to read a chain, and slow to start

        levels = (image * 255).round().astype(np.uint8)
        bgr = cv2.cvtColor(levels, cv2.COLOR_RGB2BGR)
        denoised = cv2.fastNlMeansDenoisingColored(bgr, None, self.h, self.h_color, self.patch, self.search)
        return cv2.cvtColor(denoised, cv2.COLOR_BGR2RGB).astype(np.float32) / 255


class NonLocalMeansConfig(StageConfig):
    """Options of ``stage: nlm``."""

    summary: ClassVar[str] = "denoise: mean of similar patches"
    stage: Literal["nlm"] = "nlm"
    h: float = Field(7.0, gt=0, description="strength for lightness in gray levels; best at 0.7 of the noise's sigma")
    h_color: float = Field(7.0, gt=0, description="strength for colour in gray levels")
    patch: int = Field(7, ge=1, le=101, description="side in pixels of the patches that are compared")
    search: int = Field(21, ge=3, le=1001, description="side in pixels of the square they are searched in")

    @model_validator(mode="after")
    def _sides_are_odd(self) -> NonLocalMeansConfig:
        for name, side in (("patch", self.patch), ("search", self.search)):
            if side % 2 == 0:
                raise ValueError(f"{name}: got {side}, expected an odd number of pixels")
        return self

    def build(self) -> NonLocalMeans:
        """Build the module."""
        return NonLocalMeans(**self.arguments())
