"""Clean images and pairs, from folders into crops.

All images of a training run lie decoded in one flat buffer of bytes, on the device that trains: cutting a batch of
crops, flipped and rotated, is then a single gather, and no loader process is ever waited for.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Files:
    """What lies below the folders given: clean images, and pairs of (degraded, clean)."""

    clean: tuple[Path, ...]
    pairs: tuple[tuple[Path, Path], ...]

    def split(self, every: int) -> tuple[Files, Files]:
        """Hold about one clean image in ``every``, and one scene of pairs in ``every``, back for validation.

        What is held back follows from names alone, so that it is the same in each run. A scene is a folder of
        pairs: frames of one video resemble each other too much to judge by.
        """
        clean_held = {path for path in self.clean if _draw_by_name(path.name, every)}
        scenes = {clean.parents[1] for _, clean in self.pairs}
        scenes_held = {scene for scene in scenes if _draw_by_name(scene.name, every)}
        if scenes_held == scenes:
            scenes_held = set()
        return (
            Files(
                tuple(path for path in self.clean if path not in clean_held),
                tuple(pair for pair in self.pairs if pair[1].parents[1] not in scenes_held),
            ),
            Files(
                tuple(path for path in self.clean if path in clean_held),
                tuple(pair for pair in self.pairs if pair[1].parents[1] in scenes_held),
            ),
        )


def find_files(folders: Iterable[Path]) -> Files:
    """List the images below ``folders``; a folder with ``blur/`` and ``sharp/`` inside holds pairs of equal names.

    Raises:
        FileNotFoundError: if a folder does not exist or there is no image in any.
    """
    clean: list[Path] = []
    pairs: list[tuple[Path, Path]] = []
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"got {folder}, expected a folder of images")
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            degraded = path.parent.with_name("blur") / path.name
            if path.parent.name == "sharp" and degraded.is_file():
                pairs.append((degraded, path))
            elif path.parent.name not in ("blur", "blur_gamma"):
                clean.append(path)
    if not clean and not pairs:
        raise FileNotFoundError(f"no images below {', '.join(map(str, folders))}")
    return Files(tuple(clean), tuple(pairs))


def read_rgb(path: Path) -> np.ndarray:
    """Read any 8-bit image as ``(H, W, 3)`` RGB.

    Raises:
        ValueError: if it cannot be decoded.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError(f"{path} cannot be decoded")
    return image


def read_clean(paths: Sequence[Path]) -> list[np.ndarray]:
    """Read clean images, naming and leaving out the broken ones."""
    return [image for path in paths if (image := _read_or_warn(path)) is not None]


def read_pairs(pairs: Sequence[tuple[Path, Path]]) -> list[np.ndarray]:
    """Read pairs as ``(H, W, 6)``: degraded RGB, clean RGB; broken or unequal ones are named and left out."""
    result = []
    for paths in pairs:
        degraded, clean = (_read_or_warn(path) for path in paths)
        if degraded is None or clean is None:
            continue
        if degraded.shape != clean.shape:
            log.warning("left out %s: %s pixels against %s in %s", paths[0], degraded.shape, clean.shape, paths[1])
            continue
        result.append(np.concatenate([degraded, clean], axis=2))
    return result


class CropBank:
    """Many images in one buffer, and random crops of them.

    Args:
        images: ``(H, W, C)`` uint8, all with the same C; those smaller than ``crop`` are left out.
        crop: Height and width of what is cut, in pixels.
        device: Where the buffer lies and the crops come from.

    Raises:
        ValueError: if no image is large enough.
    """

    def __init__(self, images: Sequence[np.ndarray], crop: int, device: torch.device) -> None:
        fitting = [image for image in images if min(image.shape[:2]) >= crop]
        if not fitting:
            raise ValueError(f"none of {len(images)} images is {crop} pixels high and wide; take smaller crops")
        self.crop = crop
        flat = np.concatenate([image.reshape(-1, image.shape[2]) for image in fitting])
        self.pixels = torch.from_numpy(flat).to(device)
        sizes = torch.tensor([image.shape[:2] for image in fitting])
        areas = sizes.prod(dim=1)
        self.offsets = (areas.cumsum(0) - areas).to(device)
        self.heights, self.widths = sizes.to(device).unbind(dim=1)
        self.areas = areas.to(device, torch.float32)

    def sample(self, count: int, generator: Generator) -> Tensor:
        """Cut ``count`` crops, each pixel of the data equally likely, in one of the eight orientations.

        Returns:
            ``(count, C, crop, crop)`` floats in ``[0, 1]``, channels last in memory.
        """
        chosen = torch.multinomial(self.areas, count, replacement=True, generator=generator)
        place = torch.rand((2, count), generator=generator, device=self.pixels.device)
        top = (place[0] * (self.heights[chosen] - self.crop + 1)).long()
        left = (place[1] * (self.widths[chosen] - self.crop + 1)).long()
        rows, columns = self._oriented_grid(count, generator)
        index = (top.view(-1, 1, 1) + rows) * self.widths[chosen].view(-1, 1, 1) + left.view(-1, 1, 1) + columns
        crops = self.pixels[self.offsets[chosen].view(-1, 1, 1) + index]
        return crops.permute(0, 3, 1, 2).float() / 255

    def _oriented_grid(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Row and column of each crop's pixels, mirrored and transposed at random; two ``(count, crop, crop)``."""
        device = self.pixels.device
        flip_rows, flip_columns, transpose = torch.rand((3, count, 1, 1), generator=generator, device=device) < 0.5
        along = torch.arange(self.crop, device=device)
        down, across = along.view(1, -1, 1), along.view(1, 1, -1)
        rows, columns = torch.where(transpose, across, down), torch.where(transpose, down, across)
        last = self.crop - 1
        return torch.where(flip_rows, last - rows, rows), torch.where(flip_columns, last - columns, columns)


def _read_or_warn(path: Path) -> np.ndarray | None:
    try:
        return read_rgb(path)
    except ValueError as error:
        log.warning("left out: %s", error)
        return None


def _draw_by_name(name: str, every: int) -> bool:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % every == 0
