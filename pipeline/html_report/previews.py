"""Draw the previews of one input: each image as a whole, as a thumbnail, and a detail at 100 %."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pyvips

from pipeline.engine.tensors import upscaled
from pipeline.images import ImageFile
from pipeline.images.libvips import run_vips
from pipeline.images.metadata import Metadata, attach
from pipeline.images.writer import as_vips, quantised
from pipeline.pixels import Pixels
from pipeline.tiling import Region, Span

# Errors look like noise, which takes WebP three times the bytes of a photo.
LONGEST, LONGEST_ERROR, LONGEST_THUMBNAIL, DETAIL = 1200, 600, 160, 288
QUALITY, DETAIL_QUALITY = 85, 95
ERROR_SPAN = 32

Kind = Literal["input", "stage", "reference", "error"]


@dataclass(frozen=True)
class View:
    """One image as WebP files in sRGB, its transparent parts gray.

    Attributes:
        size: Width and height of the image itself.
        whole: Reduced to ``LONGEST`` pixels, errors to ``LONGEST_ERROR``, where it is larger.
        thumbnail: Reduced to ``LONGEST_THUMBNAIL``.
        detail: The region of ``draw``, not reduced.
    """

    name: str
    kind: Kind
    size: tuple[int, int]
    whole: Path
    thumbnail: Path
    detail: Path


def draw(folder: Path, before: ImageFile, after: dict[str, ImageFile], reference: ImageFile | None) -> list[View]:
    """Draw an input, the output of every stage, its reference, and the errors of the input and of the result.

    The detail of all of them is the square, ``DETAIL`` pixels of the result wide, in which the result differs most
    from the input, both seen at the input's size.

    Args:
        folder: For the files; must exist, and be a different one for every input.
        before: The input.
        after: The output of every stage; the last is the result.
        reference: As large as the result.

    Returns:
        The input first, then the others in the order of the arguments.
    """
    before, after = _eight_bit(before), {stage: _eight_bit(image) for stage, image in after.items()}
    result = list(after.values())[-1]
    named: list[tuple[str, Kind, ImageFile]] = [("input", "input", before)]
    named += [(f"after {stage}", "stage", image) for stage, image in after.items()]
    if reference is not None:
        reference = _eight_bit(reference)
        named += [("reference", "reference", reference)]
        named += [
            (f"error of the {what}", "error", ImageFile(error_levels(image.pixels, reference.pixels)))
            for what, image in (("input", before), ("result", result))
        ]
    region = most_changed(before.pixels, result.pixels, DETAIL)
    return [
        _view(folder / str(number), name, kind, image, region.scaled(len(image.pixels) // len(before.pixels)))
        for number, (name, kind, image) in enumerate(named)
    ]


def write_preview(path: Path, image: ImageFile, longest: int) -> None:
    """Write an image as WebP in 8-bit sRGB, reduced where its longer side has more than ``longest`` pixels."""
    _write(path, _reduced(_eight_bit(image), longest), QUALITY)


def most_changed(before: Pixels, after: Pixels, side: int) -> Region:
    """Return the square of ``before``, ``side`` pixels of ``after`` wide, in which the two differ most.

    A larger ``after`` is averaged down to the size of ``before``. What is smaller than that is taken whole.

    Args:
        before: 8 bits, ``(H, W, 3)`` or ``(H, W)``.
        after: 8 bits, larger by a whole factor.
        side: In pixels of ``after``.
    """
    height, width = before.shape[:2]
    scale = len(after) // height
    change = cv2.absdiff(_colour(before), _colour(cv2.resize(after, (width, height), interpolation=cv2.INTER_AREA)))
    rows, columns = min(height, side // scale), min(width, side // scale)
    means = cv2.blur(change.mean(axis=2, dtype=np.float32), (columns, rows), anchor=(0, 0))
    inside = means[: height - rows + 1, : width - columns + 1]
    top, left = (int(place) for place in np.unravel_index(inside.argmax(), inside.shape))
    return Region(Span(top, top + rows), Span(left, left + columns))


def error_levels(pixels: Pixels, reference: Pixels) -> Pixels:
    """Return ``|pixels - reference|``, the mean over the channels, ``(H, W)``, amplified to 8 bits.

    ``ERROR_SPAN`` levels of 255 and all above become 255.

    Args:
        pixels: 8 bits, ``(H, W, 3)`` or ``(H, W)``; upscaled bicubically where it is smaller.
        reference: 8 bits, larger by a whole factor.
    """
    ours, theirs = _colour(upscaled(pixels, len(reference) // len(pixels))), _colour(reference)
    levels = cv2.absdiff(ours, theirs).mean(axis=2, dtype=np.float32)
    return np.rint((levels * (255 / ERROR_SPAN)).clip(0, 255)).astype(np.uint8)


def heat_colours(count: int = 9) -> list[str]:
    """Return the colours of errors from 0 to ``ERROR_SPAN`` in equal steps, as ``#rrggbb``."""
    levels = np.linspace(0, 255, count).round().astype(np.uint8)[None]
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in _heat(levels)[0]]


def _view(stem: Path, name: str, kind: Kind, image: ImageFile, region: Region) -> View:
    height, width = image.pixels.shape[:2]
    versions = {
        "whole": (_reduced(image, LONGEST_ERROR if kind == "error" else LONGEST), QUALITY),
        "thumbnail": (_reduced(image, LONGEST_THUMBNAIL), QUALITY),
        "detail": (_map(image, lambda plane: plane[region.slices]), DETAIL_QUALITY),
    }
    paths = {version: stem.with_name(f"{stem.name}_{version}.webp") for version in versions}
    for version, (small, quality) in versions.items():
        _write(paths[version], ImageFile(_heat(small.pixels)) if kind == "error" else small, quality)
    return View(name, kind, (width, height), **paths)


def _write(path: Path, image: ImageFile, quality: int) -> None:
    _as_srgb(image).webpsave(os.fsencode(path), Q=quality, smart_subsample=True, keep="none")


def _map(image: ImageFile, change: Callable[[Pixels], Pixels]) -> ImageFile:
    alpha = None if image.alpha is None else change(image.alpha)
    return replace(image, pixels=change(image.pixels), alpha=alpha)


def _eight_bit(image: ImageFile) -> ImageFile:
    return _map(image, lambda plane: quantised(plane, np.dtype(np.uint8)))


def _reduced(image: ImageFile, longest: int) -> ImageFile:
    height, width = image.pixels.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return _map(image, lambda plane: cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


def _colour(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 3 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)


def _heat(levels: Pixels) -> Pixels:
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def _as_srgb(image: ImageFile) -> pyvips.Image:
    """Convert to sRGB by the image's own profile, if it has a valid one, and flatten alpha onto gray."""
    prepared = converted = attach(as_vips(image), Metadata(icc=image.metadata.icc))
    if image.metadata.icc is not None:
        with suppress(pyvips.Error):
            converted = run_vips(lambda: prepared.icc_transform("srgb", embedded=True).copy_memory())
    return converted.flatten(background=128) if converted.hasalpha() else converted
