"""Average a video's frame with its neighbours where they differ by no more than noise does.

    mean = (frame + sum_i w_i neighbour_i) / (1 + sum_i w_i),   result = mean - lift(mean, sigma)
    w_i = inside_i exp(-max(0, d_i / (v + 0.1 c v) - 1) - max(0, s_i / 1.3 u - 1) / 2)

d_i is the local mean of the squared difference; s_i is that of the smoothed difference in gray, in which a small shift
or a change of light shows below the noise. v and u are what noise makes of them: given, or what neighbours differ by in
most places of the same brightness, so that a camera's noise counts as what it is. If its pixels vary c together, local
means scatter more. Where frames differ by no more than compression makes them, they come back nearly as they were. Near
black and white, where noise is clipped, the mean is put right; a network could not see any more that it is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from stages.opencv import Array
from stages.temporal.clipping import before_clipping, lift
from stages.temporal.registration import Neighbour, registered

_SIGMA, _SMOOTHED_SIGMA = 1.0, 1.5  # of local means, in pixels of half the size
_SMOOTHING = 1.0  # sigma in pixels
_SMOOTHED_NOISE = 1 / (3 * 4 * math.pi * _SMOOTHING**2)  # share of white noise's variance that is left in gray
_USUAL = 0.4  # quantile of the differences that noise alone explains
_SEEN = 0.9  # share of a deviation that is estimated: usual is less than the mean, and interpolation smooths
_SCATTER, _SMOOTHED_TOLERANCE = 0.1, 1.3  # of the local means of noise: for each pixel that varies together, and in all
_TOGETHER = 1, 6  # such pixels of white noise, and at most
_UNNOTICED = 2 / 255  # standard deviation of what rounding, compression and a good camera do to videos without noise
_LEAST = 0.05 / 255
_BRIGHTNESSES, _EVERY = 8, 3
_GRAY = np.full((1, 3), 1 / 3, np.float32)


class _Difference(NamedTuple):
    """Of a neighbour, at half size: local mean squares of the difference and of the smoothed gray difference."""

    plain: Array
    smoothed: Array


def averaged(window: Sequence[Array], noise_level: float | None) -> Array:
    """Return the frame in the middle, averaged with its neighbours.

    Args:
        window: An odd number of frames in order, RGB ``(H, W, 3)``, float32 in ``[0, 1]``.
        noise_level: Standard deviation of white noise in 8-bit gray levels; None to estimate any noise by brightness.
    """
    frame = window[len(window) // 2]
    neighbours = list(registered(window, cv2.INTER_CUBIC, both_ways=False))
    if not neighbours:
        return frame
    differences = [_difference(frame, neighbour.image) for neighbour in neighbours]
    brightness = _halved(cv2.transform(frame, _GRAY), _SIGMA)
    if noise_level is None:
        noise = _estimated(brightness, neighbours[:2], differences[:2])
        sigma = before_clipping(np.sqrt(noise.plain / 2) / _SEEN, brightness)
    else:
        sigma = np.full_like(brightness, max(noise_level / 255, _LEAST))
        noise = _of_white_noise(sigma)
    tolerated = _tolerated(noise)
    total, weights = frame.copy(), np.ones(frame.shape[:2], np.float32)
    for neighbour, difference in zip(neighbours, differences, strict=True):
        weight = neighbour.trust * _resized(_likeness(difference, tolerated), frame)
        cv2.accumulateProduct(neighbour.image, _in_colours(weight), total)
        weights += weight
    return _put_right(total / weights[..., None], sigma, np.minimum(1, weights - 1))


def _put_right(mean: Array, sigma: Array, share: Array) -> Array:
    """Undo what clipping has done to the mean, where noise was averaged away; elsewhere a network still sees it."""
    return mean - share[..., None] * _resized(lift(_halved(mean, _SIGMA), _in_colours(sigma)), mean)


def _halved(image: Array, sigma: float) -> Array:
    """Return local means at half size."""
    size = max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)
    return cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (0, 0), sigma)


def _resized(values: Array, frame: Array) -> Array:
    """Return values at a frame's size."""
    return cv2.resize(values, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _in_colours(values: Array) -> Array:
    return cv2.merge([values, values, values])


def _of_white_noise(sigma: Array) -> _Difference:
    variance = 2 * np.maximum(sigma, _LEAST) ** 2
    return _Difference(variance, variance * _SMOOTHED_NOISE)


def _estimated(brightness: Array, nearest: Sequence[Neighbour], differences: Sequence[_Difference]) -> _Difference:
    """Return what the nearest neighbours differ by, as noise makes them."""
    trusted = _halved(np.maximum.reduce([neighbour.trust for neighbour in nearest]), _SIGMA) > 0.5
    unnoticed = _of_white_noise(np.full((1, 1), _UNNOTICED, np.float32))
    least = _of_white_noise(np.zeros((1, 1), np.float32))
    return _Difference(
        *(
            np.maximum(_usual(np.minimum.reduce(maps), brightness, trusted) - without, floor)
            for maps, without, floor in zip(zip(*differences, strict=True), unnoticed, least, strict=True)
        )
    )


def _difference(frame: Array, neighbour: Array) -> _Difference:
    difference = neighbour - frame
    squares = cv2.transform(cv2.multiply(difference, difference), _GRAY)
    smoothed = cv2.GaussianBlur(cv2.transform(difference, _GRAY), (0, 0), _SMOOTHING)
    return _Difference(_halved(squares, _SIGMA), _halved(cv2.multiply(smoothed, smoothed), _SMOOTHED_SIGMA))


def _usual(squares: Array, brightness: Array, trusted: Array) -> Array:
    """Return what most trusted pixels of a brightness have, interpolated between brightnesses, ``(H, W)``."""
    values, tones = squares[trusted][::_EVERY], brightness[trusted][::_EVERY]
    if len(values) < _BRIGHTNESSES:
        return np.zeros_like(squares)
    bounds = np.quantile(tones, np.linspace(0, 1, _BRIGHTNESSES + 1))
    groups = [(tones >= low) & (tones <= high) for low, high in pairwise(bounds)]
    centres = [np.median(tones[group]) for group in groups]
    usual = [np.quantile(values[group], _USUAL) for group in groups]
    return np.interp(brightness, centres, usual).astype(np.float32)


def _tolerated(noise: _Difference) -> _Difference:
    """Return what local means of noise hardly exceed."""
    together = np.clip(noise.smoothed / (noise.plain * _SMOOTHED_NOISE), *_TOGETHER)
    return _Difference(noise.plain * (1 + _SCATTER * together), noise.smoothed * _SMOOTHED_TOLERANCE)


def _likeness(difference: _Difference, tolerated: _Difference) -> Array:
    """Return 1 where noise explains the difference, toward 0 where something else does, ``(H, W)``."""
    plain, smoothed = (np.maximum(0, one / most - 1) for one, most in zip(difference, tolerated, strict=True))
    return cv2.exp(-plain - smoothed / 2)
