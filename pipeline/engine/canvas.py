"""What an engine takes its tiles from and puts the results on: NumPy pixels on the host, or frames on the device.

Both hand out a region as an image tensor on the device; beyond the right and the bottom the outermost pixels repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.engine.tensors import begin_download, cut, to_tensor
from pipeline.pixels import Pixels
from pipeline.tiling import Region

Image = TypeVar("Image")


class Canvas(Protocol[Image]):
    """An image to restore, and room for the stages' results that are wanted.

    Attributes:
        shape: Number of frames, height and width in pixels.
        made: By stage name; filled region by region.
    """

    shape: tuple[int, int, int]
    made: dict[str, Image]

    def cut(self, region: Region, frames: slice) -> Tensor:
        """Return a region of some frames as ``(B, 3, H, W)`` on the device."""

    def paint(self, name: str, region: Region, frames: slice, image: Tensor) -> Callable[[], None]:
        """Take ``(B, 3, H, W)`` in ``[0, 1]`` for a region of a stage's result; return what puts it there."""


class PixelCanvas:
    """One image on the host, uploaded and downloaded tile by tile, so that the device never holds all of them.

    Args:
        pixels: ``(H, W, 3)`` or ``(H, W)``, see ``pipeline.engine.tensors.checked``.
        scales: How much larger each wanted result is, by stage name.
        device: Where the regions are handed out.
    """

    def __init__(self, pixels: Pixels, scales: Mapping[str, int], device: torch.device) -> None:
        height, width, *channels = pixels.shape
        self.pixels = pixels
        self.shape = (1, height, width)
        self.device = device
        self.made = {
            name: np.empty((height * scale, width * scale, *channels), pixels.dtype) for name, scale in scales.items()
        }

    def cut(self, region: Region, frames: slice) -> Tensor:
        """Upload a region."""
        return to_tensor(cut(self.pixels, region), self.device)

    def paint(self, name: str, region: Region, frames: slice, image: Tensor) -> Callable[[], None]:
        """Round a region to the pixels' dtype and begin to download it."""
        arrived = begin_download(image, self.pixels.dtype, gray=self.pixels.ndim == 2)

        def put() -> None:
            self.made[name][region.slices] = arrived()

        return put


class FrameCanvas:
    """A batch of frames that is on the device already and stays there.

    Args:
        frames: ``(B, 3, H, W)`` in ``[0, 1]``.
        scales: How much larger each wanted result is, by stage name.
    """

    def __init__(self, frames: Tensor, scales: Mapping[str, int]) -> None:
        batch, channels, height, width = frames.shape
        self.frames = frames
        self.shape = (batch, height, width)
        self.made = {
            name: frames.new_empty(batch, channels, height * scale, width * scale) for name, scale in scales.items()
        }

    def cut(self, region: Region, frames: slice) -> Tensor:
        """Return a view of a region, or a padded copy where it reaches beyond the frames."""
        found = self.frames[frames, :, *region.slices]
        missing = region.columns.length - found.shape[-1], region.rows.length - found.shape[-2]
        return F.pad(found, (0, missing[0], 0, missing[1]), mode="replicate") if any(missing) else found

    def paint(self, name: str, region: Region, frames: slice, image: Tensor) -> Callable[[], None]:
        """Take a region; one that is the whole result is kept as it is."""

        def put() -> None:
            if image.shape == self.made[name].shape:
                self.made[name] = image
            else:
                self.made[name][frames, :, *region.slices] = image

        return put
