"""Shakes that differ from place to place, as where the camera turned: a kernel for each part of a photo."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from stages.deconvolution.estimation import estimate_kernel
from stages.deconvolution.kernels import aligned, reach, widened
from stages.deconvolution.measures import informative_crop
from stages.light import to_linear_light

_PLACES, _LARGEST_CROP, _SMOOTHNESS = 3, 320, 1e-3
# A place's crop has this many times the kernel's side, and its kernel may become larger than the photo's by the other.
_ROOM, _GROWTH = 6, 1.5
# A kernel that resembles none of its neighbours by this is replaced by the photo's; if more have to be, the others are
# no evidence of a turn.
_LEAST_LIKENESS, _MOST_REPLACED = 0.75, 2
# Kernels differ from place to place if neighbours resemble each other by this much more than kernels far from each
# other do, and than each resembles the photo's.
_LEAST_DIFFERENCE = 0.01


class Places(NamedTuple):
    """What the parts of a photo say of its blur.

    Attributes:
        kernels: ``(3, 3, L, L)``, L odd; None where one kernel serves as well.
        support: Mean normalised correlation of the parts' kernels and the photo's.
    """

    kernels: Tensor | None
    support: float


def kernels_by_place(gray: Tensor, kernel: Tensor, *, linear: bool) -> Places | None:
    """Estimate a kernel for each of 3 x 3 parts of a photo.

    Args:
        gray: ``(H, W)`` in ``[0, 1]``, as in the file.
        kernel: ``(K, K)``, the one found for the photo.
        linear: The blur happened to linear light, not to the file's values.

    Returns:
        None where the photo is too small to say.
    """
    side = 2 * reach(kernel) + 1
    if min(gray.shape) // 2 < _ROOM * side:
        return None
    values = to_linear_light(gray) if linear else gray
    largest = int(_GROWTH * side) // 2 * 2 + 1
    found = [estimate_kernel(values[crop], largest, _SMOOTHNESS) for crop in _crops(gray)]
    size = max(len(kernel), *map(len, found))
    return _compared(torch.stack([widened(one, size) for one in found]), widened(kernel, size))


def _crops(gray: Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield the most informative crop of the half of the rows and columns around each place, row by row."""
    for rows in _halves(gray.shape[0]):
        for columns in _halves(gray.shape[1]):
            inner = informative_crop(gray[rows, columns], _LARGEST_CROP)
            yield _within(rows, inner[0]), _within(columns, inner[1])


def _halves(length: int) -> Iterator[slice]:
    half = length // 2
    for place in range(_PLACES):
        start = (length - half) * place // (_PLACES - 1)
        yield slice(start, start + half)


def _within(outer: slice, inner: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)


def _compared(kernels: Tensor, kernel: Tensor) -> Places:
    """Keep the kernels of all places if they belong together, but not to one kernel."""
    likeness = torch.tensor([[aligned(one, other)[1] for other in [*kernels, kernel]] for one in kernels])
    between, to_photo = likeness[:, :-1], likeness[:, -1]
    near, far = _near_and_far()
    kept = torch.where(near, between, 0).amax(dim=1) >= _LEAST_LIKENESS
    pairs = kept[:, None] & kept
    neighbours, to_photo_kept = between[near & pairs].mean().item(), to_photo[kept].mean().item()
    otherwise = max(between[far & pairs].mean().item(), to_photo_kept)
    differ = neighbours - otherwise >= _LEAST_DIFFERENCE and to_photo_kept < _likeness_by_chance(neighbours)
    if (~kept).sum() > _MOST_REPLACED or not differ:
        return Places(None, to_photo.mean().item())
    by_place = torch.where(kept.view(-1, 1, 1), kernels, kernel).unflatten(0, (_PLACES, _PLACES))
    return Places(by_place, to_photo.mean().item())


def _likeness_by_chance(neighbours: float) -> float:
    """Return how much estimates of one kernel resemble it if neighbours resemble each other this much.

    With an error of power e, relative to the kernel's, that neighbours share half of, as they do their pixels, they
    resemble each other by ``(1 + e / 2) / (1 + e)`` and the kernel by ``1 / sqrt(1 + e)``.
    """
    return math.sqrt(max(0.0, 2 * neighbours - 1))


def _near_and_far() -> tuple[Tensor, Tensor]:
    """Return which pairs of places are neighbours, and which have crops without a common pixel."""
    place = torch.arange(_PLACES**2)
    rows, columns = place // _PLACES, place % _PLACES
    down, across = (rows[:, None] - rows).abs(), (columns[:, None] - columns).abs()
    return down + across == 1, torch.maximum(down, across) == _PLACES - 1
