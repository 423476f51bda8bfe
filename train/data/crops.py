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
        images: What is cut; images smaller than ``crop`` are left out.
        crop: Height and width of what is cut, in pixels.
        evenly: Each image is equally likely, instead of each pixel.
        oriented: Mirror and turn the crops at random; else they are as in the image.

    Raises:
        ConfigError: if no image is large enough.
    """

    def __init__(self, images: ImageBlock, crop: int, *, evenly: bool = False, oriented: bool = True) -> None:
        sizes = torch.tensor(images.sizes).view(-1, 2)
        fits = sizes.amin(dim=1) >= crop
        if not fits.any():
            raise ConfigError(f"none of {len(sizes)} readable images has {crop} x {crop} pixels; take smaller crops")
        if not fits.all():
            _log.warning("left out %d images of less than %d pixels", int((~fits).sum()), crop)
        self.crop = crop
        self.oriented = oriented
        self.pixels = images.pixels
        device = self.pixels.device
        areas = sizes.prod(dim=1)
        self.offsets = (areas.cumsum(0) - areas).to(device)
        self.heights, self.widths = sizes.to(device).unbind(dim=1)
        self.odds = (fits if evenly else fits * areas).to(device, torch.float32)

    def sample(self, count: int, generator: Generator) -> Tensor:
        """Draw and cut ``count`` crops: ``(count, 3, crop, crop)`` floats in ``[0, 1]``, channels last in memory."""
        return self.cut(self.draw(count, generator))

    def draw(self, count: int, generator: Generator) -> Places:
        """Draw places, in one of the eight orientations or as it is."""
        device = self.pixels.device
        chosen = torch.multinomial(self.odds, count, replacement=True, generator=generator)
        place = torch.rand((2, count), generator=generator, device=device)
        top = (place[0] * (self.heights[chosen] - self.crop + 1)).long()
        left = (place[1] * (self.widths[chosen] - self.crop + 1)).long()
        mirrored = torch.rand((3, count, 1, 1), generator=generator, device=device) < (0.5 if self.oriented else 0)
        return Places(chosen, top, left, mirrored)

    def cut(self, places: Places) -> Tensor:
        """Cut the crops at ``places``, as ``sample`` returns them."""
        image, top, left, mirrored = places
        rows, columns = self._oriented_grid(mirrored)
        index = (top.view(-1, 1, 1) + rows) * self.widths[image].view(-1, 1, 1) + left.view(-1, 1, 1) + columns
        crops = self.pixels[self.offsets[image].view(-1, 1, 1) + index]
        return crops.permute(0, 3, 1, 2).float() / 255

    def _oriented_grid(self, mirrored: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of each crop's pixels, mirrored and transposed; two ``(count, crop, crop)``."""
        flip_rows, flip_columns, transpose = mirrored
        along = torch.arange(self.crop, device=self.pixels.device)
        down, across = along.view(1, -1, 1), along.view(1, 1, -1)
        rows, columns = torch.where(transpose, across, down), torch.where(transpose, down, across)
        last = self.crop - 1
        return torch.where(flip_rows, last - rows, rows), torch.where(flip_columns, last - columns, columns)


class PairBank:
    """Random crops of pairs, cut at the same place of both sides; each pair is equally likely.

    Args:
        degraded: One side of the pairs.
        clean: The other, in the same order and ``scale`` times as large.
        crop: Height and width of the clean crops, in pixels; a multiple of ``scale``.
        scale: Clean pixels per degraded pixel and axis.
        oriented: As of ``CropBank``.
    """

    def __init__(
        self, degraded: ImageBlock, clean: ImageBlock, crop: int, scale: int, *, oriented: bool = True
    ) -> None:
        self.scale = scale
        self.degraded = CropBank(degraded, crop // scale, evenly=True, oriented=oriented)
        self.clean = CropBank(clean, crop)

    def sample(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Cut ``count`` crops of (degraded, clean), each as ``CropBank.sample`` returns them."""
        places = self.degraded.draw(count, generator)
        enlarged = places._replace(top=places.top * self.scale, left=places.left * self.scale)
        return self.degraded.cut(places), self.clean.cut(enlarged)
