"""Undo a known blur in photos of any size: in overlapping tiles, and only where the blur explains what is seen."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.deconvolution.hyper_laplacian import blur, deconvolve
from stages.deconvolution.measures import data_weight
from stages.light import from_linear_light, to_linear_light

_TILE = 768
# Where the result, blurred again, differs by more than this from the photo, the photo stays as it was.
_LARGEST_MISFIT = 0.04
# Misfits are averaged on a coarser grid.
_CELL = 8


def undo_blur(image: Tensor, kernels: Tensor, *, linear: bool) -> Tensor:
    """Undo a blur that is the same everywhere, or that changes slowly over the photo.

    Tiles overlap by the kernel's side on each border and fade into each other there.

    Args:
        image: ``(3, H, W)`` in ``[0, 1]``, as in the file.
        kernels: ``(rows, columns, K, K)``, each of the middle of its cell of the photo; blended linearly in between.
        linear: The blur happened to linear light, not to the file's values.
    """
    height, width = image.shape[-2:]
    overlap = kernels.shape[-1]
    weight = data_weight(to_linear_light(image) if linear else image)
    result, total = torch.zeros_like(image), image.new_zeros(height, width)
    for rows, row_weights in _spans(height, overlap, image):
        for columns, column_weights in _spans(width, overlap, image):
            kernel = kernel_at(kernels, _middle(rows) / height, _middle(columns) / width)
            share = torch.outer(row_weights, column_weights)
            result[..., rows, columns] += share * _deblurred(image[..., rows, columns], kernel, weight, linear=linear)
            total[rows, columns] += share
    return result / total


def _deblurred(image: Tensor, kernel: Tensor, weight: float, *, linear: bool) -> Tensor:
    """Deconvolve one tile where that is consistent.

    Around clipped highlights, and where things moved by themselves, deconvolution rings below black and above white.
    Without that the result no longer explains the photo, which gives those places away.
    """
    values = to_linear_light(image) if linear else image
    sharp = deconvolve(values, kernel, weight).clamp(0, 1)
    again = blur(sharp, kernel)
    if linear:
        sharp, again = from_linear_light(sharp), from_linear_light(again)
    misfit = _local_mean((again - image).square().mean(dim=0), len(kernel))
    return torch.lerp(image, sharp, torch.exp(-misfit / _LARGEST_MISFIT**2))


def _local_mean(values: Tensor, radius: int) -> Tensor:
    """Average ``(H, W)`` over squares of about this radius."""
    height, width = values.shape
    coarse = F.adaptive_avg_pool2d(values[None, None], (-(-height // _CELL), -(-width // _CELL)))
    cells = -(-radius // _CELL)
    averaged = F.avg_pool2d(F.pad(coarse, (cells,) * 4, mode="replicate"), 2 * cells + 1, stride=1)
    return F.interpolate(averaged, size=(height, width), mode="bilinear")[0, 0]


def kernel_at(kernels: Tensor, row: float, column: float) -> Tensor:
    """Blend the kernels of a grid for a place, in shares of the photo's height and width."""
    (top, bottom, down), (left, right, across) = (
        _neighbours(kernels.shape[0], row),
        _neighbours(kernels.shape[1], column),
    )
    upper = torch.lerp(kernels[top, left], kernels[top, right], across)
    lower = torch.lerp(kernels[bottom, left], kernels[bottom, right], across)
    return torch.lerp(upper, lower, down)


def _neighbours(cells: int, place: float) -> tuple[int, int, float]:
    """Return the cells whose middles lie before and behind a place, and how far it is from the first to the second."""
    position = min(max(place * cells - 0.5, 0.0), cells - 1.0)
    first = min(int(position), max(0, cells - 2))
    return first, min(first + 1, cells - 1), position - first


def _spans(length: int, overlap: int, like: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield the rows or columns of every tile with weights that fade out where another tile follows."""
    count = -(-length // _TILE)
    for index in range(count):
        start, stop = length * index // count, length * (index + 1) // count
        first, last = max(0, start - overlap), min(length, stop + overlap)
        place = torch.arange(first, last, dtype=like.dtype, device=like.device) + 0.5
        rise = (place - first) / (2 * overlap) if start else torch.ones_like(place)
        fall = (last - place) / (2 * overlap) if stop < length else torch.ones_like(place)
        yield slice(first, last), torch.minimum(rise, fall).clamp_max(1)


def _middle(span: slice) -> float:
    return (span.start + span.stop) / 2
