"""One protocol's figures: PSNR of doing nothing and of a restorer, and what became of single images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.degradation import functions
from train.evaluation.restorers import Restore
from train.evaluation.samples import Sample

# Decibels that a loss must exceed for an image to count as made worse.
_FELT_LOSS = 0.1


@dataclass(frozen=True)
class ProtocolResult:
    """One protocol's outcome: PSNR of doing nothing and of the result, and what became of single images.

    Where the input is clean, doing nothing is perfect: there is no such PSNR and none can be made better.

    Attributes:
        better: Share of the images that got better.
        worse: Share of the images that lost more than 0.1 dB.
        worst: Smallest gain of an image, in dB.
    """

    protocol: str
    weights: str
    nothing: float | None
    restored: float
    better: float | None
    worse: float | None
    worst: float | None


def measure(
    protocol: str, weights: str, samples: Iterator[Sample], nothing: Restore, restore: Restore, score: Callable
) -> ProtocolResult:
    """Score ``nothing(degraded)`` and ``restore(degraded)`` against clean for every sample."""
    before, after = [], []
    for degraded, clean in samples:
        before.append(score(nothing(degraded), clean))
        after.append(score(functions.quantise(restore(degraded)), clean))
    gains = np.subtract(after, before)
    return ProtocolResult(
        protocol,
        Path(weights).stem,
        nothing=float(np.mean(before)),
        restored=float(np.mean(after)),
        better=float(np.mean(gains > 0)),
        worse=float(np.mean(gains < -_FELT_LOSS)),
        worst=float(gains.min()),
    )
