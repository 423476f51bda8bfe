"""Decode BMP, PNM, PFM and JPEG 2000, which libvips lacks, by OpenCV, and what that leaves to its caller."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import BrokenImage, RefusedImage
from pipeline.images.bmp import read_masked_bmp
from pipeline.images.damage import broken_image
from pipeline.images.kinds import Header, raw_header
from pipeline.pixels import Pixels, white

_HEADER_SIZE_AT, _OS2_HEADER = 14, 12

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def header_of(name: str, head: bytes) -> Header:
    """Return the header of a file that begins with ``head``.

    Raises:
        BrokenImage: if it is damaged.
    """
    header = raw_header(name, head)
    if header is None:
        raise BrokenImage(f"has a damaged {name} header")
    return header


def decode(path: Path, name: str, header: Header) -> Pixels:
    """Return ``(H, W)`` gray or ``(H, W, C)`` RGB or RGBA, with the full range of their type.

    Raises:
        BrokenImage: if the file is damaged.
        RefusedImage: if it is valid, but of a kind that OpenCV lacks.
    """
    pixels = read_masked_bmp(path) if name == "BMP" else None
    if pixels is not None:
        return pixels
    content = np.fromfile(path, np.uint8)
    # OpenCV makes gray images of all BMP files of OS/2, unless it is asked for colours.
    flags = cv2.IMREAD_COLOR if name == "BMP" and content[_HEADER_SIZE_AT] == _OS2_HEADER else cv2.IMREAD_UNCHANGED
    if name == "PNM":
        content = np.append(content, np.uint8(ord("\n")))  # OpenCV refuses a number that ends with the file
    try:
        decoded = cv2.imdecode(content, flags)
    except cv2.error:
        decoded = None
    if header.unusual and (decoded is None or name == "PFM"):
        raise RefusedImage(f"holds {header.unusual}, which no decoder here reads; convert it first")
    if decoded is None:
        raise broken_image(path, name, "")
    if decoded.ndim == 3:
        decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB if decoded.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return _stretched(decoded, header)


def _stretched(pixels: Pixels, header: Header) -> Pixels:
    """Scale maxima other than those of 8 and 16 bits (100, 1023) to the full range."""
    full = white(pixels.dtype)
    if header.maximum in (None, full):
        return pixels
    return np.rint(np.arange(full + 1) * (full / header.maximum)).clip(max=full).astype(pixels.dtype)[pixels]
