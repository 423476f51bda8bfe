"""Sources of tiles and targets of results: NumPy pixels on the host, or frames on the device.

Both return a region as an image tensor on the device; beyond the right and bottom edges the border pixels repeat.
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
    """An image to restore, and buffers for the requested results of stages.

    Attributes:
        shape: Number of frames, height and width in pixels.
        made: Results by stage name; filled region by region.
    """

    shape: tuple[int, int, int]
    made: dict[str, Image]

    def cut(self, region: Region, frames: slice) -> Tensor:
        """Return a region of some frames as ``(B, 3, H, W)``, or of their windows of frames, on the device."""

    def paint(self, name: str, region: Region, frames: slice, image: Tensor) -> Callable[[], None]:
        """Accept ``(B, 3, H, W)`` in ``[0, 1]`` for a region of a stage's result; return a function that writes it."""


class PixelCanvas:
    """One image on the host, uploaded and downloaded tile by tile, so that the device never holds all of them.

    Args:
        pixels: ``(H, W, 3)`` or ``(H, W)``, see ``pipeline.engine.tensors.checked``.
        scales: Scale of each requested result, by stage name.
        device: Where regions are uploaded to.
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
        """Round a region to the pixels' dtype and start its download."""
        arrived = begin_download(image, self.pixels.dtype, gray=self.pixels.ndim == 2)

        def put() -> None:
            self.made[name][region.slices] = arrived()

        return put


class FrameCanvas:
    """A batch of frames that stays on the device.

    Args:
        frames: ``(B, 3, H, W)`` in ``[0, 1]``.
        scales: Scale of each requested result, by stage name.
        windows: For each frame to restore, ``(N, 2 * radius + 1)`` indices of its window's frames in ``frames``; None
            to restore all of these by themselves.
    """

    def __init__(self, frames: Tensor, scales: Mapping[str, int], windows: Tensor | None = None) -> None:
        count, channels, height, width = frames.shape
        batch = count if windows is None else len(windows)
        self.frames = frames
        self.windows = windows
        self.shape = (batch, height, width)
        self.made = {
            name: frames.new_empty(batch, channels, height * scale, width * scale) for name, scale in scales.items()
        }

    def cut(self, region: Region, frames: slice) -> Tensor:
        """Return a view of a region, or a copy where it reaches beyond the frames, or for windows."""
        found = self.frames[frames if self.windows is None else slice(None), :, *region.slices]
        missing = region.columns.length - found.shape[-1], region.rows.length - found.shape[-2]
        if any(missing):
            found = F.pad(found, (0, missing[0], 0, missing[1]), mode="replicate")
        return found if self.windows is None else found[self.windows[frames]]

    def paint(self, name: str, region: Region, frames: slice, image: Tensor) -> Callable[[], None]:
        """Write a region; a tensor that is the whole result is kept without a copy."""

        def put() -> None:
            if image.shape == self.made[name].shape:
                self.made[name] = image
            else:
                self.made[name][frames, :, *region.slices] = image

        return put
