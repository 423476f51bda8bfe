"""What clipping does to noise near black and white: it moves the mean, and an average of frames shows where to.

Of noise with standard deviation sigma around z sigma, values below 0 become 0. Then, with the density phi and the
distribution Phi of the standard normal distribution,

    mean = sigma (z Phi(z) + phi(z)),   mean of squares = sigma^2 ((z^2 + 1) Phi(z) + z phi(z))

so that black under noise averages to 0.4 sigma. Near white it is the mirror image. As Foi, "Clipped noisy images:
heteroskedastic modeling and practical denoising", Signal Processing 2009.
"""

from __future__ import annotations

import math

import numpy as np

from stages.opencv import Array

_Z = np.linspace(0, 6, 241)
_DENSITY = np.exp(-(_Z**2) / 2) / math.sqrt(2 * math.pi)
_BELOW = np.array([(1 + math.erf(z / math.sqrt(2))) / 2 for z in _Z])
_MEAN = _Z * _BELOW + _DENSITY
_DEVIATION = np.sqrt((_Z**2 + 1) * _BELOW + _Z * _DENSITY - _MEAN**2)
_FAR = 4  # times sigma, beyond which nothing is clipped
_LEAST = 1e-6


def before_clipping(deviation: Array, mean: Array) -> Array:
    """Return the standard deviation of noise before it was clipped.

    Args:
        deviation: Of what is left of the noise, any shape.
        mean: Of the noisy values there, 0 to 1, same shape.
    """
    deviation = np.maximum(deviation, _LEAST)
    ratio = np.minimum(mean, 1 - mean) / deviation
    return (deviation * np.interp(ratio, _MEAN / _DEVIATION, 1 / _DEVIATION)).astype(np.float32)


def lift(mean: Array, sigma: Array) -> Array:
    """Return by how much clipping at 0 and 1 has raised the mean of noisy values; below 0 where it lowered it.

    Args:
        mean: Of the noisy values, 0 to 1, any shape.
        sigma: Standard deviation of the noise before clipping, same shape.
    """
    return _raised(mean, sigma) - _raised(1 - mean, sigma)


def _raised(mean: Array, sigma: Array) -> Array:
    """Return by how much clipping at 0 has raised the mean; all of it, where not even black explains it."""
    raised = np.zeros_like(mean)
    near = mean < _FAR * sigma
    ratio = mean[near] / sigma[near]
    raised[near] = sigma[near] * np.minimum(np.interp(ratio, _MEAN, _MEAN - _Z), ratio)
    return raised
