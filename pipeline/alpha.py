"""Transparency beside the chain: stages see colours only, and alpha is enlarged alongside."""

from __future__ import annotations

from dataclasses import replace

import torch

from pipeline.engine.pixels import Pixels, to_pixels, to_tensor
from pipeline.images.picture import Picture
from stages.layers import bicubic_upscale


def restored_like(picture: Picture, pixels: Pixels) -> Picture:
    """Return restored pixels as a picture, with the original's metadata and its alpha at the new size.

    Args:
        picture: The original.
        pixels: What became of its pixels; larger by a whole factor.
    """
    scale = pixels.shape[0] // picture.pixels.shape[0]
    alpha = None if picture.alpha is None else _enlarged(picture.alpha, scale)
    return replace(picture, pixels=pixels, alpha=alpha)


def _enlarged(plane: Pixels, scale: int) -> Pixels:
    image = bicubic_upscale(to_tensor(plane, torch.device("cpu"))[:, :1], scale)
    return to_pixels(image.clamp(0, 1), plane.dtype, gray=True)
