"""Random crops of many images.

Cutting a batch of crops, mirrored and turned, is a single gather out of the block that all images lie in, on the
device that trains; so no process that loads images has to be waited for.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from pipeline.errors import ConfigError
from train.data.images import ImageBlock

_log = logging.getLogger(__name__)


class Places(NamedTuple):
    """Where crops are cut: one value an image, on the bank's device."""

    image: Tensor
    top: Tensor
    left: Tensor
    mirrored: Tensor
    """``(3, count, 1, 1)`` booleans: rows flipped, columns flipped, transposed."""


class CropBank:
    """Random crops of the images of a block.

    Args:
        images: What is cut; images smaller than ``size`` are left out.
        size: Height and width of what is cut, in pixels.
        evenly: Each image is equally likely, instead of each pixel.
        augment: Flip the crops at random, and rotate square ones; else they are as in the image.

    Raises:
        ConfigError: if no image is large enough.
    """

    def __init__(
        self, images: ImageBlock, size: tuple[int, int], *, evenly: bool = False, augment: bool = True
    ) -> None:
        sizes = torch.tensor(images.sizes).view(-1, 2)
        fits = (sizes >= torch.tensor(size)).all(dim=1)
        if not fits.any():
            raise ConfigError(f"none of {len(sizes)} readable images has {size[0]} x {size[1]} pixels; crop less")
        if not fits.all():
            _log.warning("left out %d images of less than %d x %d pixels", int((~fits).sum()), *size)
        self.height, self.width = size
        self.augment = augment
        self.pixels = images.pixels
        device = self.pixels.device
        areas = sizes.prod(dim=1)
        self.offsets = (areas.cumsum(0) - areas).to(device)
        self.heights, self.widths = sizes.to(device).unbind(dim=1)
        self.odds = (fits if evenly else fits * areas).to(device, torch.float32)

    def sample(self, count: int, generator: Generator) -> Tensor:
        """Draw and cut ``count`` crops: ``(count, 3, height, width)`` floats in ``[0, 1]``, channels last in memory."""
        return self.cut(self.draw(count, generator))

    def draw(self, count: int, generator: Generator) -> Places:
        """Draw places, in one of the eight orientations or as it is."""
        device = self.pixels.device
        chosen = torch.multinomial(self.odds, count, replacement=True, generator=generator)
        place = torch.rand((2, count), generator=generator, device=device)
        top = (place[0] * (self.heights[chosen] - self.height + 1)).long()
        left = (place[1] * (self.widths[chosen] - self.width + 1)).long()
        mirrored = torch.rand((3, count, 1, 1), generator=generator, device=device) < (0.5 if self.augment else 0)
        mirrored[2] &= self.height == self.width
        return Places(chosen, top, left, mirrored)

    def cut(self, places: Places) -> Tensor:
        """Cut the crops at ``places``, as ``sample`` returns them."""
        image, top, left, mirrored = places
        rows, columns = self._oriented_grid(mirrored)
        index = (top.view(-1, 1, 1) + rows) * self.widths[image].view(-1, 1, 1) + left.view(-1, 1, 1) + columns
        crops = self.pixels[self.offsets[image].view(-1, 1, 1) + index]
        return crops.permute(0, 3, 1, 2).float() / 255

    def _oriented_grid(self, mirrored: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of each crop's pixels, mirrored and transposed; two ``(count, height, width)``."""
        flip_rows, flip_columns, transpose = mirrored
        down = torch.arange(self.height, device=self.pixels.device).view(1, -1, 1)
        across = torch.arange(self.width, device=self.pixels.device).view(1, 1, -1)
        rows, columns = torch.where(transpose, across, down), torch.where(transpose, down, across)
        flipped = self.height - 1 - rows, self.width - 1 - columns
        return torch.where(flip_rows, flipped[0], rows), torch.where(flip_columns, flipped[1], columns)


class PairBank:
    """Random crops of pairs, cut at the same place of both sides; each pair is equally likely.

    Args:
        degraded: One side of the pairs.
        clean: The other, in the same order and ``scale`` times as large.
        size: Height and width of the clean crops, in pixels; multiples of ``scale``.
        scale: Clean pixels per degraded pixel and axis.
        augment: As of ``CropBank``.
    """

    def __init__(
        self, degraded: ImageBlock, clean: ImageBlock, size: tuple[int, int], scale: int, *, augment: bool = True
    ) -> None:
        self.scale = scale
        self.degraded = CropBank(degraded, (size[0] // scale, size[1] // scale), evenly=True, augment=augment)
        self.clean = CropBank(clean, size)

    def sample(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Cut ``count`` crops of (degraded, clean), each as ``CropBank.sample`` returns them."""
        places = self.degraded.draw(count, generator)
        on_clean = places._replace(top=places.top * self.scale, left=places.left * self.scale)
        return self.degraded.cut(places), self.clean.cut(on_clean)
