"""Clean images and pairs, from files into memory.

All images of a training run lie decoded in one block of memory, on the device that trains. The block is allocated
once, for the sizes in the files' headers: at no time is there a second copy of the data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import imagesize
import numpy as np
import torch
from torch import Tensor

from pipeline.device.memory import free_memory
from pipeline.errors import BrokenImage, ImageError
from pipeline.images import read_image
from pipeline.pixels import white
from train.data.layouts import PathPair

_log = logging.getLogger(__name__)

ImagePair = tuple[np.ndarray, np.ndarray]
Size = tuple[int, int]
_DECODED_AHEAD = 16
_NOT_BY_OPENCV = frozenset({".avif", ".gif", ".heic", ".heif", ".ico", ".j2k", ".jp2", ".pfm"})


class ImageBlock:
    """Decoded images, one behind the other in one block of memory.

    Args:
        room: Pixels of all images that will be appended, or more.
        device: Where the block lies.
    """

    def __init__(self, room: int, device: torch.device) -> None:
        self.pixels = torch.empty((room, 3), dtype=torch.uint8, device=device)
        self.sizes: list[tuple[int, int]] = []
        self._filled = 0

    def append(self, image: np.ndarray) -> None:
        """Copy ``(H, W, 3)`` uint8 behind what is there already."""
        height, width = image.shape[:2]
        end = self._filled + height * width
        self.pixels[self._filled : end] = torch.from_numpy(image.reshape(-1, 3))
        self.sizes.append((height, width))
        self._filled = end


def to_tensor(image: np.ndarray) -> Tensor:
    """Turn ``(H, W, 3)`` uint8 into ``(1, 3, H, W)`` in ``[0, 1]``."""
    return torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0).float() / 255


def load_clean(paths: Sequence[Path], device: torch.device, size: Size | None = None) -> ImageBlock:
    """Decode all clean images, resized if a size is given; broken ones are named and left out."""
    room = sum(height * width for height, width in ([size] * len(paths) if size else map(read_size, paths)))
    _warn_if_too_large(room, device)
    block = ImageBlock(room, device)
    for image in read_clean(paths):
        block.append(resized(image, size))
    return block


def load_pairs(
    pairs: Sequence[PathPair], factors: Sequence[float], scale: int, device: torch.device, size: Size | None = None
) -> tuple[ImageBlock, ImageBlock]:
    """Decode all pairs at each of the ``factors``; return the degraded sides and the clean ones.

    Those that `read_pairs` does not take are left out. If a size is given, clean sides are resized to it.
    """
    small = (size[0] // scale, size[1] // scale) if size else None
    sizes = [small or read_size(degraded) for degraded, _ in pairs]
    room = sum(_reduced(height, factor) * _reduced(width, factor) for height, width in sizes for factor in factors)
    _warn_if_too_large(room * (1 + scale**2), device)
    degraded_block, clean_block = ImageBlock(room, device), ImageBlock(room * scale**2, device)
    for pair in read_pairs(pairs, scale):
        for degraded, clean in reduce_pair(pair, factors, scale):
            degraded_block.append(resized(degraded, small))
            clean_block.append(resized(clean, size))
    return degraded_block, clean_block


def read_clean(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """Read clean images, ``(H, W, 3)``; broken ones are named and left out."""
    return (image for image in _read_all(paths) if image is not None)


def read_pairs(pairs: Sequence[PathPair], scale: int = 1) -> Iterator[ImagePair]:
    """Read pairs of (degraded, clean) ``(H, W, 3)``.

    Broken ones, and those whose clean side is not ``scale`` times as large, are named and left out.
    """
    sides = (_read_all([pair[side] for pair in pairs]) for side in (0, 1))
    for paths, degraded, clean in zip(pairs, *sides, strict=True):
        if degraded is None or clean is None:
            continue
        if clean.shape[:2] != (degraded.shape[0] * scale, degraded.shape[1] * scale):
            _log.warning(
                "left out %s: %d x %d pixels, %s has %d x %d, expected %d times as many",
                paths[0], *degraded.shape[:2], paths[1], *clean.shape[:2], scale,
            )  # fmt: skip
            continue
        yield degraded, clean


def reduce_pair(pair: ImagePair, factors: Sequence[float], scale: int = 1) -> Iterator[ImagePair]:
    """Yield a pair at each of the ``factors``, averaged over the area of the new pixels; 1 leaves it as it is.

    The blur gets shorter by the same factor, so that a few scenes show blurs of many lengths.
    """
    for factor in factors:
        height, width = (_reduced(side, factor) for side in pair[0].shape[:2])
        degraded, clean = (
            cv2.resize(image, (width * factor_of_side, height * factor_of_side), interpolation=cv2.INTER_AREA)
            for image, factor_of_side in zip(pair, (1, scale), strict=True)
        )
        yield degraded, clean


def resized(image: np.ndarray, size: Size | None) -> np.ndarray:
    """Return an image at ``(height, width)``, averaged by area where it gets smaller; as it is without a size."""
    if size is None or image.shape[:2] == size:
        return image
    smaller = size[0] < image.shape[0] and size[1] < image.shape[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def read_rgb(path: Path) -> np.ndarray:
    """Read any image as 8-bit ``(H, W, 3)`` RGB.

    Raises:
        BrokenImage: if it is missing, cannot be decoded or is cut off.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BrokenImage(f"{path} cannot be read: {error.strerror}") from error
    if _is_cut_off(content):
        raise BrokenImage(f"{path} is cut off")
    return _decoded(path, content)


def _decoded(path: Path, content: bytes) -> np.ndarray:
    """Decode by OpenCV, several times as fast, and what it cannot decode, or decodes otherwise, as restoring does."""
    if content and path.suffix.lower() not in _NOT_BY_OPENCV:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
        if image is not None:
            return image
    try:
        pixels = read_image(path).pixels
    except ImageError as error:
        raise BrokenImage(f"{path} cannot be decoded: {error}") from error
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels / white(pixels.dtype) * 255).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1))


def read_size(path: Path) -> tuple[int, int]:
    """Return height and width from a file's header; (0, 0) for a file that `read_rgb` refuses."""
    width, height = imagesize.get(path)
    if width > 0 and height > 0:
        return height, width
    try:
        return read_rgb(path).shape[:2]
    except BrokenImage:
        return 0, 0


def _is_cut_off(content: bytes) -> bool:
    """Return whether a JPEG's last scan has no end: OpenCV would silently fill its missing rows with gray."""
    return content.startswith(b"\xff\xd8") and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")


def _read_all(paths: Sequence[Path]) -> Iterator[np.ndarray | None]:
    """Decode on all cores, not far ahead of who takes the images; OpenCV works outside Python's lock."""
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(paths), _DECODED_AHEAD):
            yield from pool.map(_read_or_warn, paths[first : first + _DECODED_AHEAD])


def _read_or_warn(path: Path) -> np.ndarray | None:
    try:
        return read_rgb(path)
    except BrokenImage as error:
        _log.warning("left out: %s", error)
        return None


def _reduced(side: int, factor: float) -> int:
    return round(side * factor)


def _warn_if_too_large(pixels: int, device: torch.device) -> None:
    needed, free = 3 * pixels, free_memory(device)
    if needed > free:
        _log.warning(
            "the training images take %.1f GB when decoded, but %s has %.1f GB of memory free; give fewer or smaller "
            "images if the run fails",
            needed / 1e9, device, free / 1e9,
        )  # fmt: skip
