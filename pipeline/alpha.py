"""Restore transparent images: the chain gets the colours only, and alpha is upscaled bicubically.

In a logo all pixels under alpha 0 usually have one colour, mostly black. A chain would carry it into the visible
edges, as dark fringes on any other background. So the chain is given the nearest visible colours instead, and the
hidden colour is put back afterwards. Hidden pixels of several colours mean something, such as a photo under a mask;
they are restored like visible ones.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.engine.tensors import upscaled
from pipeline.images.image_file import ImageFile
from pipeline.pixels import Pixels


def visible_pixels(image: ImageFile) -> Pixels:
    """Return the pixels to give to a chain: those of the image, with a single colour under alpha 0 replaced."""
    if image.alpha is None or _hidden_colour(image.pixels, image.alpha) is None:
        return image.pixels
    hidden = image.alpha == 0
    _, nearest = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((nearest.max() + 1, *image.pixels.shape[2:]), image.pixels.dtype)
    colours[nearest[~hidden]] = image.pixels[~hidden]
    return colours[nearest]


def restored_like(image: ImageFile, pixels: Pixels) -> ImageFile:
    """Return restored pixels as an image file, with the original's metadata and its alpha at the new size.

    Args:
        image: The original.
        pixels: Its ``visible_pixels`` after the chain; larger by a whole factor.
    """
    if image.alpha is None:
        return replace(image, pixels=pixels)
    alpha = upscaled(image.alpha, pixels.shape[0] // image.pixels.shape[0])
    if (colour := _hidden_colour(image.pixels, image.alpha)) is not None:
        pixels = pixels.copy()
        pixels[alpha == 0] = colour
    return replace(image, pixels=pixels, alpha=alpha)


def _hidden_colour(pixels: Pixels, alpha: Pixels) -> Pixels | None:
    """Return the one colour of all hidden pixels; None if they differ, or if all or none are hidden."""
    hidden = alpha == 0
    if hidden.all() or not hidden.any():
        return None
    colours = pixels[hidden]
    return colours[0] if (colours == colours[0]).all() else None
