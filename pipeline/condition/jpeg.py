"""Estimate the JPEG quality of an image from its pixels, whatever file they were saved to since.

In an image that was a JPEG, the DCT coefficients of the blocks lie near multiples of the quantisation table (Fan and
de Queiroz, "Identification of Bitmap Compression History", IEEE TIP 2003). Every table of libjpeg is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from pipeline.condition.noise import PATCH, patches
from pipeline.pixels import Pixels

UNCOMPRESSED = 100
_QUALITIES = range(10, 97)
LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)  # of quality 50, in Annex K of the standard
# The coefficients looked at: those of low frequency, which are seldom quantised to zero.
_LOW = [row * PATCH + column for row in range(5) for column in range(5) if 0 < row + column < 5]
_BINS, _BINS_PER_LEVEL = 512, 4  # of the coefficients' histograms
_CERTAIN = 8.0  # standard deviations; an image that never was a JPEG reaches 6
_FEWEST = 30  # coefficients beyond half a step


def jpeg_quality(luma: Pixels) -> int:
    """Return the quality, 10 to 96 by libjpeg's scale, or 100 where there are no traces of JPEG.

    Args:
        luma: ``(N, H, W)`` in gray levels (BT.601), all crops beginning at multiples of 8.
    """
    scores = _scores(luma, 0, 0)
    if scores.max() < _CERTAIN:
        scores = _scores(luma, _phase(luma.transpose(0, 2, 1)), _phase(luma))
    return _QUALITIES[int(np.argmax(scores))] if scores.max() >= _CERTAIN else UNCOMPRESSED


def quality_of(luma_table: Sequence[int]) -> int:
    """Return the quality, 1 to 100, whose table is nearest to a file's, which may come from any encoder.

    Args:
        luma_table: 64 numbers, in any order.
    """
    total = sum(luma_table)
    return min(range(1, 101), key=lambda quality: abs(int(table(quality).sum()) - total))


def table(quality: int) -> Pixels:
    """Return libjpeg's quantisation table for luma, ``(64,)``, row by row."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(LUMA_TABLE).ravel() * percent + 50) // 100, 1, 255)


def _scores(luma: Pixels, top: int, left: int) -> Pixels:
    """Return for each quality by how many standard deviations the coefficients are nearer to multiples than by chance.

    Args:
        luma: As of ``jpeg_quality``.
        top: Row at which a block begins; not 0 where a JPEG was cropped.
        left: Column, likewise.
    """
    found = np.abs(patches(luma, top, left) @ _BASIS[_LOW].T)
    bins = np.minimum(np.rint(found * _BINS_PER_LEVEL).astype(np.intp), _BINS)
    numbered = bins + np.arange(len(_LOW)) * (_BINS + 1)
    histograms = np.bincount(numbered.ravel(), minlength=len(_LOW) * (_BINS + 1)).astype(np.float32)
    nearness, informative = _agreement()
    counts = informative @ histograms
    return np.where(counts < _FEWEST, 0, (nearness @ histograms) / np.sqrt(np.maximum(counts, 1) / 2))


@cache
def _agreement() -> tuple[Pixels, Pixels]:
    """Return, by quality and bin of the histograms, how near to multiples it lies (1 to -1), and whether it counts.

    Coefficients within half a step of 0 do not count: most coefficients of any image lie there.
    """
    levels = np.arange(_BINS + 1) / _BINS_PER_LEVEL
    steps = np.stack([table(quality)[_LOW] for quality in _QUALITIES])[..., None]
    informative = (levels > steps / 2) & (steps > 1) & (levels < levels[-1])
    nearness = np.where(informative, np.cos(2 * np.pi * levels / steps), 0)
    size = len(_QUALITIES), -1
    return nearness.reshape(size).astype(np.float32), informative.reshape(size).astype(np.float32)


def _phase(luma: Pixels) -> int:
    """Return before which column of every eight the steps between columns stand out most."""
    steps = np.abs(np.diff(luma, axis=2))
    if steps.shape[2] < 3 * PATCH:
        return 0
    excess = (steps[..., 1:-1] - (steps[..., :-2] + steps[..., 2:]) / 2).mean(axis=(0, 1))
    whole = excess[: len(excess) // PATCH * PATCH].reshape(-1, PATCH).mean(axis=0)
    return (int(np.argmax(whole)) + 2) % PATCH


def _dct_basis() -> Pixels:
    """Return the orthonormal two-dimensional DCT of a block, ``(64, 64)``."""
    places = np.arange(PATCH)
    orders = places.reshape(-1, 1)
    cosines = np.cos(np.pi * (2 * places + 1) * orders / (2 * PATCH)) * np.where(orders, 0.5, np.sqrt(1 / PATCH))
    return np.kron(cosines, cosines).astype(np.float32)


_BASIS = _dct_basis()
