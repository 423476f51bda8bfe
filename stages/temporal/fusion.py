"""Fuse a video's frame with sharper neighbours: each lends the detail that it shows more of.

The frame and its registered neighbours are split into Laplacian pyramids. The more local energy a neighbour's band has
beside the frame's, the more of it is taken (Burt, Kolczynski, "Enhanced Image Capture through Fusion", ICCV 1993). The
coarsest level stays the frame's:

    band = (frame + sum_i w_i neighbour_i) / (1 + sum_i w_i),   w_i = same_i max(0, (E_i / 1.15 E)^4 - 1) blurred_i

same_i is how far the registration is trusted, the coarsest levels are alike and the next coarser bands correlate: blur
hardly changes them, whereas noise, water and whatever moves otherwise differ. blurred_i is 0 unless a fair share of the
frame is sharper in the neighbour, as after a shake: some places always are. In a fade all levels gain contrast, so what
the coarsest gains does not count. Thus a sharp video stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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
_CORRELATED = 0.6, 0.8  # correlation from which bands may show the same, and surely do
_BLURRED = 0.05, 0.15  # share that is sharper in a neighbour by chance, and of a frame that is blurred as a whole
_DETAIL = 1e-5  # energy of places that have detail


class _Pyramid(NamedTuple):
    """A Laplacian pyramid: its bands, the finest first, their local energies, and the image that is left."""

    bands: list[Array]
    energies: list[Array]
    coarsest: Array


def fused(window: Sequence[Array]) -> Array:
    """Return the frame in the middle with the detail of sharper neighbours.

    Args:
        window: An odd number of frames in order, RGB ``(H, W, 3)``, float32 in ``[0, 1]``.
    """
    frame = window[len(window) // 2]
    neighbours = list(registered(window, cv2.INTER_LINEAR, both_ways=True))
    if not neighbours:
        return frame
    own = _pyramid(frame)
    totals, weights = list(own.bands), [np.ones_like(energy) for energy in own.energies]
    for neighbour in neighbours:
        other = _pyramid(neighbour.image)
        for level, weight in enumerate(_weights(own, other, neighbour.trust)):
            totals[level] = totals[level] + weight[..., None] * other.bands[level]
            weights[level] += weight
    return _image([total / weight[..., None] for total, weight in zip(totals, weights, strict=True)], own.coarsest)


def _pyramid(image: Array) -> _Pyramid:
    bands = []
    for _ in range(_LEVELS - 1):
        coarser = cv2.pyrDown(image)
        bands.append(image - cv2.pyrUp(coarser, dstsize=image.shape[1::-1]))
        image = coarser
    return _Pyramid(bands, [_products(band, band) for band in bands], image)


def _image(bands: Sequence[Array], image: Array) -> Array:
    """Undo ``_pyramid``."""
    for band in reversed(bands):
        image = cv2.pyrUp(image, dstsize=band.shape[1::-1]) + band
    return image


def _products(one: Array, other: Array, sigma: float = _SIGMA) -> Array:
    """Return the products summed over colours, averaged around each pixel, ``(H, W)``."""
    return cv2.GaussianBlur(cv2.transform(cv2.multiply(one, other), _SUM), (0, 0), sigma)


def _weights(own: _Pyramid, other: _Pyramid, trust: Array) -> list[Array]:
    """Return the weight of each band of a neighbour; none where the frame is not blurred beside it."""
    same, contrast = _same(own, other, trust), _contrast_gained(own.coarsest, other.coarsest, trust)
    sharper = [_sharpness(lent / contrast, energy) for lent, energy in zip(other.energies, own.energies, strict=True)]
    detailed = own.energies[1] > _DETAIL
    share = same[1][detailed & (sharper[1] > 0)].sum() / max(1, np.count_nonzero(detailed))
    blurred = float(np.interp(share, _BLURRED, (0, 1)))
    return [blurred * alike * weight for alike, weight in zip(same, sharper, strict=True)] if blurred else []


def _same(own: _Pyramid, other: _Pyramid, trust: Array) -> list[Array]:
    """Return for each band 1 where the neighbour shows the same, toward 0 elsewhere, at the band's size."""
    trust = trust * _resized(_likeness(own, other), trust)
    coarser = [_correlated(own, other, level) for level in range(1, _LEVELS - 1)]
    return [
        _resized(trust, energy) * _resized(correlated, energy)
        for energy, correlated in zip(own.energies, [*coarser, coarser[-1]], strict=True)
    ]


def _correlated(own: _Pyramid, other: _Pyramid, level: int) -> Array:
    """Return 1 where bands surely correlate, 0 where they do not."""
    products = _products(own.bands[level], other.bands[level])
    correlation = products / cv2.sqrt((own.energies[level] + _FAINT) * (other.energies[level] + _FAINT))
    least, enough = _CORRELATED
    return np.clip((correlation - least) / (enough - least), 0, 1)


def _contrast_gained(own: Array, other: Array, trust: Array) -> float:
    """Return by how much the variance of a neighbour's coarsest level is higher; 1 where it is not."""
    trusted = _resized(trust, own) > 0.5
    if not trusted.any():
        return 1.0
    before, now = (float(image[trusted].var(axis=0).sum()) for image in (own, other))
    return max(1.0, (now + _FAINT) / (before + _FAINT))


def _sharpness(energy: Array, own: Array) -> Array:
    """Return the weight of a band with an energy beside the frame's own."""
    ratio = (energy + _FAINT) / (_SHARPER * (own + _FAINT))
    return np.maximum(0, (ratio * ratio) ** 2 - 1)


def _likeness(own: _Pyramid, other: _Pyramid) -> Array:
    """Return 1 where the coarsest levels show the same, toward 0 elsewhere, at their size."""
    change = other.coarsest - own.coarsest
    difference, finer = _products(change, change, _SIGMA / 2), cv2.pyrDown(own.bands[-1])
    return cv2.exp(-np.maximum(0, difference / (_products(finer, finer) + _DIFFERENT) - 1))


def _resized(weights: Array, image: Array) -> Array:
    """Return weights at an image's size."""
    smaller = image.shape[0] < weights.shape[0]
    return cv2.resize(weights, image.shape[1::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
