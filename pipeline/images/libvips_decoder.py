"""Decode by libvips: one still image of a file, as gray or RGB in its own encoding, or in sRGB for CMYK and Lab."""

import os
from pathlib import Path
from typing import NamedTuple

import pyvips

from pipeline.errors import RefusedImage
from pipeline.images.icc import BROKEN_PROFILE, usable_profile
from pipeline.images.kinds import check_size, is_animated_png
from pipeline.images.metadata import Metadata, collect, orientation_of, with_late_chunks
from pipeline.images.tiff_lab import open_tiff_lab
from pipeline.images.tiff_pages import TiffImage
from pipeline.pixels import Pixels

_CONVERTED = {"cmyk": "CMYK", "lab": "Lab", "labs": "Lab", "labq": "Lab"}


class Decoded(NamedTuple):
    """A decoded image.

    Args:
        pixels: ``(H, W, 1..)``, as they are stored.
        metadata: What libvips reads.
        orientation: Of EXIF, 1 to 8.
        notes: On what was converted.
        losses: What is left behind.
        bits: Of a channel in the file; None if libvips does not say.
    """

    pixels: Pixels
    metadata: Metadata
    orientation: int
    notes: tuple[str, ...]
    losses: tuple[str, ...]
    bits: int | None


def decode_still(path: Path, name: str, loader: str, fail_on: str, max_pixels: int, tiff: TiffImage | None) -> Decoded:
    """Decode a file of the format ``name``.

    Raises:
        RefusedImage: for several images or frames, and more pixels than the limit.
        pyvips.Error: if it is damaged; a warning is enough where ``fail_on`` says so.
    """
    image = open_image(path, loader, fail_on, **({} if tiff is None else {"page": tiff.page}))
    check_size(image.width, image.height, max_pixels)
    if tiff is None:
        _check_still(path, name, image)
    elif tiff.extra and image.bands > 1:
        image = image.extract_band(0, n=image.bands - tiff.extra)
    bits = image.get("bits-per-sample") if image.get_typeof("bits-per-sample") else None
    image, notes, losses = _to_srgb(image)
    pixels = image.numpy().reshape(image.height, image.width, image.bands)
    return Decoded(pixels, collect(image), orientation_of(image), notes, losses, bits)


def upright_size(path: Path, loader: str) -> tuple[int, int]:
    """Return width and height by the header, after turning."""
    image = open_image(path, loader)
    return (image.height, image.width) if orientation_of(image) >= 5 else (image.width, image.height)


def open_image(path: Path, loader: str, fail_on: str = "error", **page: int) -> pyvips.Image:
    """Open a file and read its header; with these options a damaged file fails when it is decoded."""
    try:
        image = getattr(pyvips.Image, loader)(os.fsencode(path), access="sequential", fail_on=fail_on, **page)
        return with_late_chunks(path, image) if loader == "pngload" else image
    except pyvips.Error as error:
        if "bad labq format" not in error.detail:
            raise
        return open_tiff_lab(path, fail_on=fail_on)


def _to_srgb(image: pyvips.Image) -> tuple[pyvips.Image, tuple[str, ...], tuple[str, ...]]:
    """Convert CMYK, by its profile or a usual one, and Lab; all others stay in their own encoding.

    Also returns notes and losses.
    """
    space = _CONVERTED.get(image.interpretation)
    if space is None:
        return image, (), ()
    depth = 16 if image.format in ("ushort", "short") else 8
    if space == "CMYK":
        converted = image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth, intent="relative")
    else:
        converted = image.icc_export(output_profile="srgb", depth=depth, intent="relative")
    own = image.get("icc-profile-data") if image.get_typeof("icc-profile-data") else None
    broken = space == "CMYK" and own is not None and (usable_profile(own) is None or own[16:20] != b"CMYK")
    return converted, (f"{space} converted to sRGB",), (BROKEN_PROFILE,) if broken else ()


def _check_still(path: Path, name: str, image: pyvips.Image) -> None:
    if name == "PNG" and is_animated_png(path):
        raise RefusedImage("is an animated PNG, expected a still image; restore its frames one by one")
    pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
    if pages > 1:
        what = f"holds {pages} images" if name in ("TIFF", "AVIF") else f"is an animation of {pages} frames"
        raise RefusedImage(f"{what}, expected a still image; save them one by one and restore those")
