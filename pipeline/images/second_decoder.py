"""Confirm a uniform image by a second decoder: wrong decoding often ends in nothing but zeros or white."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import RefusedImage
from pipeline.pixels import Pixels, white


def confirm_uniform(path: Path, pixels: Pixels) -> tuple[str, ...]:
    """Return notes on an image that is black or white all over; none on any other.

    Raises:
        RefusedImage: if OpenCV sees something else in the file than libvips.
    """
    low, high = pixels[..., :3].min(), pixels[..., :3].max()
    if low != high or low not in (0, white(pixels.dtype)):
        return ()
    colour = "black" if low == 0 else "white"
    try:
        other = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        other = None
    if other is None:
        return (f"is {colour} all over, which no second decoder could confirm",)
    colours = other[..., :3] if other.ndim == 3 else other
    if colours.min() != colours.max():
        raise RefusedImage(
            f"decodes to nothing but {colour}, though a second decoder finds an image in it; "
            "open it in another program and save it as PNG or TIFF"
        )
    return ()
