"""Undo a known blur in photos of any size: in overlapping tiles, and only where the blur explains what is seen."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from stages.deconvolution.hyper_laplacian import blur, deconvolve
from stages.deconvolution.kernels import trimmed
from stages.deconvolution.measures import data_weight, local_mean
from stages.deconvolution.ringing import without_ringing
from stages.light import from_linear_light, to_linear_light

_TILE, _SMALLEST_OVERLAP = 1024, 16
# Where the result, blurred again, differs by more than this from the photo, the photo stays as it was.
_LARGEST_MISFIT = 0.04


def undo_blur(image: Tensor, kernels: Tensor, *, linear: bool) -> Tensor:
    """Undo a blur that is the same everywhere, or one that differs from part to part.

    Tiles overlap by twice the kernel's side on each border and fade into each other in the inner half of that, which
    lies beyond the border's effect.

    Args:
        image: ``(3, H, W)`` in ``[0, 1]``, as in the file.
        kernels: ``(rows, columns, K, K)``, K odd, each with sum one; for equal parts of the image.
        linear: The blur happened to linear light, not to the file's values.
    """
    kernels = trimmed(kernels)
    height, width = image.shape[-2:]
    overlap = max(kernels.shape[-1], _SMALLEST_OVERLAP)
    weight = data_weight(to_linear_light(image) if linear else image)
    result = torch.zeros_like(image)
    for row, rows, row_weights in _spans(height, len(kernels), overlap, image):
        for column, columns, column_weights in _spans(width, kernels.shape[1], overlap, image):
            share = torch.outer(row_weights, column_weights)
            sharp = _deblurred(image[..., rows, columns], kernels[row, column], weight, linear=linear)
            result[..., rows, columns] += share * sharp
    return result


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
    misfit = local_mean((again - image).square().mean(dim=0), len(kernel))
    calm = without_ringing(sharp, kernel).clamp(0, 1)
    return torch.lerp(image, calm, torch.exp(-misfit / _LARGEST_MISFIT**2))


def _spans(length: int, parts: int, overlap: int, like: Tensor) -> Iterator[tuple[int, slice, Tensor]]:
    """Yield every tile's part, its rows or columns, and weights that sum to one where tiles overlap."""
    count = -(-length // (_TILE * parts)) * parts
    for index in range(count):
        start, stop = length * index // count, length * (index + 1) // count
        first, last = max(0, start - 2 * overlap), min(length, stop + 2 * overlap)
        place = torch.arange(first, last, dtype=like.dtype, device=like.device) + 0.5
        rise = (place - start) / (2 * overlap) + 0.5 if start else torch.ones_like(place)
        fall = (stop - place) / (2 * overlap) + 0.5 if stop < length else torch.ones_like(place)
        yield index * parts // count, slice(first, last), torch.minimum(rise, fall).clamp(0, 1)
