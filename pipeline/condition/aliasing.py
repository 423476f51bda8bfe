"""Estimate how an image was downscaled: detail up to the finest, as without a low-pass filter, is aliased."""

from __future__ import annotations

import numpy as np

from pipeline.pixels import Pixels

_LENGTH = 32
_FINEST, _MEDIUM = slice(13, 17), slice(8, 12)  # of 16 half cycles a window
_USUAL = 0.25  # what is taken for an image without detail, such as a blank screen
_LEAST_POWER = 0.02  # of medium detail, in squared gray levels; rounding to 8 bit alone has 0.08
_WINDOW = np.hanning(_LENGTH).astype(np.float32)


def aliasing(luma: Pixels, noise: float) -> float:
    """Return the power of the finest detail by that of medium detail, 0 to 1.

    Of photos downscaled by bicubic or Lanczos filters it is near 0.25, by means of areas 0.45, without a filter 0.65.

    Args:
        luma: ``(N, H, W)`` in gray levels.
        noise: Standard deviation of white noise in it, whose power is left out.
    """
    power = _spectrum(luma) + _spectrum(luma.transpose(0, 2, 1))
    finest, medium = power[_FINEST].mean(), power[_MEDIUM].mean()
    if medium < _LEAST_POWER:
        return _USUAL
    noise_power = min(2 * noise**2, 0.8 * finest)
    return float(min(1.0, (finest - noise_power) / max(medium - noise_power, 1e-3)))


def _spectrum(luma: Pixels) -> Pixels:
    """Return the mean power along rows at 0 to 16 half cycles in 32 pixels; that of white noise is its variance."""
    columns = luma.shape[2] // _LENGTH * _LENGTH
    lines = luma[:, :, :columns].reshape(-1, _LENGTH)
    if not len(lines):
        return np.zeros(_LENGTH // 2 + 1)
    lines = lines - lines.mean(axis=1, keepdims=True)
    return (np.abs(np.fft.rfft(lines * _WINDOW)) ** 2).mean(axis=0) / (_WINDOW**2).sum()
