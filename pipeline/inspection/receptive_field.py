"""Measure the effective receptive field: how strongly the pixels around an output pixel influence it.

Luo, Li, Urtasun, Zemel, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks",
NeurIPS 2016, https://arxiv.org/abs/1701.04128: the gradient of one output pixel with respect to the input, its
absolute values averaged over several places of real images. The theoretical one is the stage's halo.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from pipeline.tiling import Footprint, Region, Span, needed_regions
from stages.stage import Stage

_PLACES_PER_AXIS = 4
_LARGEST_RADIUS = 160  # for a stage that sees the whole image


def receptive_field(stage: Stage, image: Tensor) -> Tensor:
    """Measure the gradient of an output pixel with respect to the input pixels around it, averaged over 4 x 4 places.

    Args:
        stage: In eval mode.
        image: Input of the stage, ``(1, 3, H, W)`` in ``[0, 1]`` on its device, H and W multiples of ``multiple_of``.

    Returns:
        ``(2 * radius + 1, 2 * radius + 1)``, the output pixel's place in the middle, colours summed. The radius is
        a little more than the halo, so that nothing is seen to lie beyond it, or 160 where the halo is the whole image.
    """
    radius = _LARGEST_RADIUS if stage.halo is None else stage.halo + stage.halo // 8 + 2
    height, width = image.shape[-2:]
    total = torch.zeros(2 * radius + 1, 2 * radius + 1, device=image.device)
    covered = torch.zeros_like(total)
    for row, column in itertools.product(_places(height), _places(width)):
        gradient = _gradient(stage, image, row, column)
        rows, inside_rows = _around(row, radius, height)
        columns, inside_columns = _around(column, radius, width)
        total[inside_rows, inside_columns] += gradient[rows, columns]
        covered[inside_rows, inside_columns] += 1
    return total / covered.clamp(min=1)


def radius_of(field: Tensor, share: float) -> int:
    """Return the radius of the square around the middle that holds a share of a field's sum."""
    field, middle = field.cpu(), len(field) // 2  # Metal has no float64
    distance = (torch.arange(len(field)) - middle).abs()
    by_radius = torch.zeros(middle + 1, dtype=torch.float64)
    by_radius.index_add_(0, torch.maximum(distance[:, None], distance).flatten(), field.flatten().double())
    reached = by_radius.cumsum(0) >= share * by_radius.sum()
    return int(reached.int().argmax())


def _gradient(stage: Stage, image: Tensor, row: int, column: int) -> Tensor:
    """Return the gradient of the output at one place with respect to each pixel of the image, ``(H, W)``."""
    height, width = image.shape[-2:]
    place = Region(Span(row, row + 1), Span(column, column + 1))
    seen, made = needed_regions(place, [Footprint(stage.scale, stage.multiple_of, stage.halo)], height, width)
    part = image[..., *seen.slices].detach().requires_grad_()
    with torch.enable_grad():
        pixel = stage(part)[..., *made.within(seen.scaled(stage.scale))].float().mean(dim=(0, 2, 3)).sum()
        (gradient,) = torch.autograd.grad(pixel, part)
    whole = torch.zeros(height, width, device=image.device)
    whole[seen.slices] = gradient.abs().sum(dim=(0, 1))
    return whole


def _places(length: int) -> list[int]:
    return [(2 * index + 1) * length // (2 * _PLACES_PER_AXIS) for index in range(_PLACES_PER_AXIS)]


def _around(place: int, radius: int, length: int) -> tuple[slice, slice]:
    """Return the part of the image within a radius, and its position in the field."""
    start, stop = max(place - radius, 0), min(place + radius + 1, length)
    return slice(start, stop), slice(start - place + radius, stop - place + radius)
