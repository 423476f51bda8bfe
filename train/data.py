"""Clean images and pairs, from files into crops.

All images of a training run lie decoded in one flat buffer of bytes, on the device that trains: cutting a batch of
crops, flipped and rotated, is then a single gather, and no loader process is ever waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from train.layouts import PathPair

log = logging.getLogger(__name__)

ImagePair = tuple[np.ndarray, np.ndarray]


def read_rgb(path: Path) -> np.ndarray:
    """Read any 8-bit image as ``(H, W, 3)`` RGB.

    Raises:
        ValueError: if it is missing, cannot be decoded or is cut off.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if _is_cut_off(content):
        raise ValueError(f"{path} is cut off")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB) if content else None
    if image is None:
        raise ValueError(f"{path} cannot be decoded")
    return image


def _is_cut_off(content: bytes) -> bool:
    """Tell whether a JPEG's last scan has no end: its missing rows would be decoded as grey, without a word."""
    return content.startswith(b"\xff\xd8") and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")


def read_clean(paths: Sequence[Path]) -> list[np.ndarray]:
    """Read clean images, naming and leaving out the broken ones."""
    return [image for image in _read_all(paths) if image is not None]


def read_pairs(pairs: Sequence[PathPair], scale: int = 1) -> list[ImagePair]:
    """Read pairs of (degraded, clean) ``(H, W, 3)``.

    Broken ones, and those whose clean side is not ``scale`` times as large, are named and left out.
    """
    result = []
    sides = (_read_all([pair[side] for pair in pairs]) for side in (0, 1))
    for paths, degraded, clean in zip(pairs, *sides, strict=True):
        if degraded is None or clean is None:
            continue
        if clean.shape[:2] != (degraded.shape[0] * scale, degraded.shape[1] * scale):
            log.warning(
                "left out %s: %d x %d pixels, %s has %d x %d, expected %d times as many",
                paths[0], *degraded.shape[:2], paths[1], *clean.shape[:2], scale,
            )  # fmt: skip
            continue
        result.append((degraded, clean))
    return result


def reduced(pairs: Sequence[ImagePair], factors: Sequence[float], scale: int = 1) -> list[ImagePair]:
    """Return the pairs at each of the ``factors`` (1 is as they are), averaged over the area of the new pixels.

    A blur is as many times shorter, so that few scenes hold many lengths of it.
    """
    return [_reduced(pair, factor, scale) for factor in factors for pair in pairs]


class Places(NamedTuple):
    """Where crops are cut: one value an image, on the bank's device."""

    image: Tensor
    top: Tensor
    left: Tensor
    mirrored: Tensor
    """``(3, count, 1, 1)`` booleans: rows flipped, columns flipped, transposed."""


class CropBank:
    """Many images in one buffer, and random crops of them.

    Args:
        images: ``(H, W, C)`` uint8, all with the same C; those smaller than ``crop`` are left out.
        crop: Height and width of what is cut, in pixels.
        device: Where the buffer lies and the crops come from.
        evenly: Each image is equally likely, instead of each pixel.
        oriented: Mirror and turn the crops at random; else they are as in the image.

    Raises:
        ValueError: if no image is large enough.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        crop: int,
        device: torch.device,
        *,
        evenly: bool = False,
        oriented: bool = True,
    ) -> None:
        fitting = [image for image in images if min(image.shape[:2]) >= crop]
        if not fitting:
            raise ValueError(
                f"none of {len(images)} readable images is {crop} pixels high and wide; take smaller crops"
            )
        if len(fitting) < len(images):
            log.warning("left out %d images of less than %d pixels", len(images) - len(fitting), crop)
        self.crop = crop
        self.oriented = oriented
        flat = np.concatenate([image.reshape(-1, image.shape[2]) for image in fitting])
        self.pixels = torch.from_numpy(flat).to(device)
        sizes = torch.tensor([image.shape[:2] for image in fitting])
        areas = sizes.prod(dim=1)
        self.offsets = (areas.cumsum(0) - areas).to(device)
        self.heights, self.widths = sizes.to(device).unbind(dim=1)
        self.odds = (torch.ones_like(areas) if evenly else areas).to(device, torch.float32)

    def sample(self, count: int, generator: Generator) -> Tensor:
        """Draw and cut ``count`` crops: ``(count, C, crop, crop)`` floats in ``[0, 1]``, channels last in memory."""
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
    """Pairs in two buffers, and random crops of the same place in both; each pair is equally likely.

    Args:
        pairs: (degraded, clean), the clean ones ``scale`` times as large.
        crop: Height and width of the clean crops, in pixels; a multiple of ``scale``.
        scale: Clean pixels per degraded pixel and axis.
        device: Where the buffers lie and the crops come from.
        oriented: As of ``CropBank``.
    """

    def __init__(
        self, pairs: Sequence[ImagePair], crop: int, scale: int, device: torch.device, *, oriented: bool = True
    ) -> None:
        self.scale = scale
        degraded = [degraded for degraded, _ in pairs]
        self.degraded = CropBank(degraded, crop // scale, device, evenly=True, oriented=oriented)
        self.clean = CropBank([clean for _, clean in pairs], crop, device)

    def sample(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Cut ``count`` crops of (degraded, clean), each as ``CropBank.sample`` returns them."""
        places = self.degraded.draw(count, generator)
        enlarged = places._replace(top=places.top * self.scale, left=places.left * self.scale)
        return self.degraded.cut(places), self.clean.cut(enlarged)


def _reduced(pair: ImagePair, factor: float, scale: int) -> ImagePair:
    if factor == 1:
        return pair
    height, width = (round(side * factor) for side in pair[0].shape[:2])
    degraded, clean = (
        cv2.resize(image, (width * enlarged, height * enlarged), interpolation=cv2.INTER_AREA)
        for image, enlarged in zip(pair, (1, scale), strict=True)
    )
    return degraded, clean


def _read_all(paths: Sequence[Path]) -> Iterator[np.ndarray | None]:
    """Decode on all cores; OpenCV works outside Python's lock."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(_read_or_warn, paths)


def _read_or_warn(path: Path) -> np.ndarray | None:
    try:
        return read_rgb(path)
    except ValueError as error:
        log.warning("left out: %s", error)
        return None
