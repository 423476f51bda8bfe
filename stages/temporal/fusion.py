"""Fuse a video's frame with sharper neighbours: each lends the detail that it shows more of.

The frame and its registered neighbours are split into Laplacian pyramids. The more local energy a neighbour's band has
beside the frame's, the more of it is taken (Burt, Kolczynski, "Enhanced Image Capture through Fusion", ICCV 1993). The
coarsest level stays the frame's:

    band = (frame + sum_i w_i neighbour_i) / (1 + sum_i w_i),   w_i = trust_i max(0, (E_i / 1.15 E)^4 - 1)

Neighbours that are no sharper add nothing, so a sharp video stays as it is. Nor do they where the coarsest level, which
blur hardly changes, shows something else: its difference is compared with the energy of the band above.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stages.opencv import Array
from stages.temporal.registration import registered

_LEVELS = 4
_SIGMA = 4.0  # of local energies, in pixels of their level
_SHARPER = 1.15  # times the energy from which a neighbour counts
_FAINT = 2e-6  # energy that noise and rounding have
_SUM = np.ones((1, 3), np.float32)  # of colours
_DIFFERENT = (4 / 255) ** 2  # difference of coarsest levels that always passes


def fused(window: Sequence[Array]) -> Array:
    """Return the frame in the middle with the detail of sharper neighbours.

    Args:
        window: An odd number of frames in order, RGB ``(H, W, 3)``, float32 in ``[0, 1]``.
    """
    frame = window[len(window) // 2]
    neighbours = list(registered(window, cv2.INTER_LINEAR, both_ways=True))
    if not neighbours:
        return frame
    bands = _pyramid(frame)
    energies = [_energy(band) for band in bands[:-1]]
    totals, weights = list(bands), [np.ones(band.shape[:2], np.float32) for band in bands[:-1]]
    for neighbour in neighbours:
        others = _pyramid(neighbour.image)
        trust = neighbour.trust * _resized(_likeness(bands, others), frame)
        for level, other in enumerate(others[:-1]):
            weight = _resized(trust, other) * _sharpness(_energy(other), energies[level])
            totals[level] = totals[level] + weight[..., None] * other
            weights[level] += weight
    return _image([total / weight[..., None] for total, weight in zip(totals, weights, strict=False)] + bands[-1:])


def _pyramid(image: Array) -> list[Array]:
    """Return the Laplacian pyramid of an image, the finest band first, what is left last."""
    bands = []
    for _ in range(_LEVELS - 1):
        coarser = cv2.pyrDown(image)
        bands.append(image - cv2.pyrUp(coarser, dstsize=image.shape[1::-1]))
        image = coarser
    return [*bands, image]


def _image(bands: Sequence[Array]) -> Array:
    """Undo ``_pyramid``."""
    image = bands[-1]
    for band in reversed(bands[:-1]):
        image = cv2.pyrUp(image, dstsize=band.shape[1::-1]) + band
    return image


def _energy(band: Array, sigma: float = _SIGMA) -> Array:
    """Return the sum of squares over colours, averaged around each pixel, ``(H, W)``."""
    return cv2.GaussianBlur(cv2.transform(cv2.multiply(band, band), _SUM), (0, 0), sigma)


def _sharpness(energy: Array, own: Array) -> Array:
    """Return the weight of a band with an energy beside the frame's own."""
    ratio = (energy + _FAINT) / (_SHARPER * (own + _FAINT))
    return np.maximum(0, (ratio * ratio) ** 2 - 1)


def _likeness(bands: Sequence[Array], others: Sequence[Array]) -> Array:
    """Return 1 where the coarsest levels show the same, toward 0 elsewhere, at their size."""
    difference = _energy(others[-1] - bands[-1], _SIGMA / 2)
    detail = _energy(cv2.pyrDown(bands[-2]))
    return cv2.exp(-np.maximum(0, difference / (detail + _DIFFERENT) - 1))


def _resized(weights: Array, image: Array) -> Array:
    """Return weights at an image's size."""
    smaller = image.shape[0] < weights.shape[0]
    return cv2.resize(weights, image.shape[1::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
