"""Estimate the extent of blur from the steepest edges of an image.

Delbracio, Garcia-Dorado, Choi, Kelly, Milanfar, "Polyblur: Removing Mild Blur by Polynomial Reblurring", IEEE TCI 2021,
https://arxiv.org/abs/2012.09322: of a photo that spans black to white, the steepest gradient in a direction falls with
the blur in that direction. Out-of-focus backgrounds do not count: the sharpest edge does.
"""

from __future__ import annotations

import math

import numpy as np

from pipeline.pixels import Pixels

_SLOPE, _SHARPEST = 0.352, 0.768  # the paper's c and sigma_b
_IGNORED = 1e-4  # share of the pixels beyond black and white
_TURNS = [(math.cos(math.radians(angle)), math.sin(math.radians(angle))) for angle in range(0, 180, 30)]


def blur_extents(luma: Pixels) -> tuple[float, float]:
    """Return the standard deviation in pixels of the blur along its widest and its narrowest direction.

    Args:
        luma: ``(N, H, W)``, any scale. Without any edges, the blur is 0.
    """
    if min(luma.shape[1:]) < 3:
        return 0.0, 0.0
    black, white = _ends(luma)
    if white <= black:
        return 0.0, 0.0
    stretched = np.clip((luma - black) / (white - black), 0, 1)
    across = ((stretched[:, 1:-1, 2:] - stretched[:, 1:-1, :-2]) / 2).ravel()
    down = ((stretched[:, 2:, 1:-1] - stretched[:, :-2, 1:-1]) / 2).ravel()
    extents = [_extent(_largest(cosine * across + sine * down)) for cosine, sine in _TURNS]
    return max(extents), min(extents)


def _ends(luma: Pixels) -> tuple[float, float]:
    """Return the values that all but a share of the pixels lie between."""
    beyond = int(luma.size * _IGNORED)
    ordered = np.partition(luma.ravel(), (beyond, luma.size - 1 - beyond))
    return float(ordered[beyond]), float(ordered[luma.size - 1 - beyond])


def _largest(values: Pixels) -> float:
    return float(max(values.max(), -values.min()))


def _extent(steepest: float) -> float:
    return math.sqrt(max(0.0, (_SLOPE / max(steepest, 1e-3)) ** 2 - _SHARPEST**2))
