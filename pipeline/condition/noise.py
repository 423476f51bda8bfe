"""Estimate the standard deviation of noise from the smoothest patches of an image.

Of each patch of 8x8 pixels only what a plane does not explain counts: noise, correlated noise of cameras included, and
texture. The smoothest patches have the least texture (as in Liu, Tanaka, Okutomi, "Single-Image Noise Level Estimation
for Blind Denoising", IEEE TIP 2013). Texture hardly differs between the colours, noise of sensors does.
"""

from __future__ import annotations

import numpy as np

from pipeline.pixels import Pixels

PATCH = 8
_SMOOTHEST = 0.05
_DARKEST, _BRIGHTEST = 10, 245  # beyond, noise is clipped
_FEWEST = 20


def noise_levels(crops: Pixels) -> tuple[float, float]:
    """Return the standard deviations of the noise in a channel and in what differs between the channels.

    Args:
        crops: ``(N, H, W, 3)`` in gray levels, 0 to 255.
    """
    red, green, blue = (np.ascontiguousarray(crops[..., channel]) for channel in range(3))
    found = [_variances(channel) for channel in (red, green, blue)]
    brightness = np.mean([mean for _, mean in found], axis=0)
    differences = (red - blue) / np.sqrt(2), (red + blue - 2 * green) / np.sqrt(6)
    usable = (brightness > _DARKEST) & (brightness < _BRIGHTEST)
    if usable.sum() < _FEWEST:
        usable[:] = True
    whole = np.mean([variance for variance, _ in found], axis=0)
    colour = np.mean([_variances(difference)[0] for difference in differences], axis=0)
    return _level(whole[usable]), _level(colour[usable])


def patches(planes: Pixels, top: int = 0, left: int = 0) -> Pixels:
    """Cut ``(N, H, W)`` into whole patches, the first at a row and a column; ``(patches, 64)``."""
    planes = planes[:, top:, left:]
    count, height, width = planes.shape
    rows, columns = height // PATCH, width // PATCH
    blocks = planes[:, : rows * PATCH, : columns * PATCH].reshape(count, rows, PATCH, columns, PATCH)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(-1, PATCH * PATCH)


def _plane_basis() -> Pixels:
    """Return orthonormal vectors that span all planes over a patch, ``(3, 64)``; the first is constant."""
    across = np.tile(np.arange(PATCH) - (PATCH - 1) / 2, (PATCH, 1))
    vectors = np.stack([np.ones_like(across), across, across.T]).reshape(3, -1)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


_PLANES = _plane_basis()


def _variances(planes: Pixels) -> tuple[Pixels, Pixels]:
    """Return each patch's variance around its best plane, and its mean."""
    found = patches(planes)
    explained = found @ _PLANES.T
    energy = np.einsum("ij,ij->i", found, found) - np.einsum("ij,ij->i", explained, explained)
    return np.maximum(energy, 0) / (PATCH**2 - len(_PLANES)), explained[:, 0] / PATCH


def _level(variances: Pixels) -> float:
    return float(np.sqrt(np.quantile(variances, _SMOOTHEST))) if variances.size else 0.0
