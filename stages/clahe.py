"""CLAHE: Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV, 1994.
https://doi.org/10.1016/B978-0-12-336156-1.50061-6

The lightness of each cell of a grid is spread over its whole range, but nowhere steeper than the clip limit allows;
between the cells' centres the curves are mixed. Colour (ab of CIE Lab) stays.
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from torch import Tensor

from stages.opencv import Array, map_arrays
from stages.stage import Stage, StageConfig


class CLAHE(Stage):
    """Local contrast without weights, on the CPU.

    The grid divides the whole image, so there is no halo: the image is worked in one piece.

    Args:
        clip_limit: Largest slope of a curve, roughly: 1 changes little, 4 is strong.
        grid: Cells along each axis.
    """

    halo = None

    def __init__(self, *, clip_limit: float, grid: int) -> None:
        super().__init__()
        self.clip_limit = clip_limit
        self.grid = grid

    def forward(self, image: Tensor) -> Tensor:
        """Return the image with its lightness equalised, same shape."""
        return map_arrays(self._equalise, image)

    def _equalise(self, image: Array) -> Array:
        import cv2  # neither is needed to read a chain, and both are slow to start
        from skimage import color

        lab = color.rgb2lab(image)
        levels = (lab[..., 0] * 2.55).round().astype(np.uint8)
        curves = cv2.createCLAHE(self.clip_limit, (self.grid, self.grid))
        # OpenCV's curves have 256 steps; adding what they change keeps what lies between two of them.
        lab[..., 0] += (curves.apply(levels) - levels.astype(np.float32)) / 2.55
        return color.lab2rgb(lab)


class CLAHEConfig(StageConfig):
    """Options of ``stage: clahe``."""

    summary: ClassVar[str] = "contrast: adaptive equalization"
    stage: Literal["clahe"] = "clahe"
    clip_limit: float = Field(2.0, gt=0, description="largest slope of the curves; 1 changes little, 4 is strong")
    grid: int = Field(8, ge=1, le=256, description="cells along each axis of the image")

    def build(self) -> CLAHE:
        """Build the module."""
        return CLAHE(**self.arguments())
