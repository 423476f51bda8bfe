"""Numbers about an image that say whether and how to deconvolve it: its blur's width, its noise, its best crop."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

# Of a Gaussian blur's standard deviation over the largest gradient it leaves: Delbracio et al. 2021, equation 10.
_EDGE_GRADIENT, _OWN_WIDTH = 0.352, 0.768
_DIRECTIONS, _OUTLIERS = 6, 1e-4
_BRIGHTEST = 0.97
# Rows are read in strips of about this many pixels, noise from no more, so that large photos take little memory.
_STRIP = 2**20

# Standard deviation of the filter's response to white noise of 1: the norm of the outer product of 1, -2, 1.
_RESPONSE_TO_NOISE = 6.0
# Local means are taken on a coarser grid.
_CELL = 8

LARGEST_WEIGHT, _SMALLEST_WEIGHT = 3000.0, 200.0


def luma(image: Tensor) -> Tensor:
    """Return ``(H, W)``: BT.601's weighted mean of the three colours of ``(3, H, W)``."""
    return (image * image.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=0)


def blur_width(gray: Tensor) -> float:
    """Estimate how wide the blur is where it is widest.

    Some edge of a photo is sharp and spans all of its brightness, so that the largest gradient gives the blur away:
    Delbracio, Garcia-Dorado, Choi, Kelly, Milanfar, "Polyblur: Removing Mild Blur by Polynomial Reblurring", IEEE TCI
    2021. https://arxiv.org/abs/2012.09322

    Args:
        gray: ``(H, W)`` in ``[0, 1]``, at least 3 x 3.

    Returns:
        Standard deviation in pixels, of the widest of six directions; 0 for a flat image, about which nothing is known,
        and infinite where brightness does not change in some direction.
    """
    low, high = _quantiles(gray)
    if high - low < 1 / 255:
        return 0.0
    steepest = torch.zeros(_DIRECTIONS)
    for strip in _strips(gray):
        steepest = torch.maximum(steepest, _steepest(((strip - low) / (high - low)).clamp_(0, 1)))
    widest = (_EDGE_GRADIENT / steepest.min().item()) ** 2 - _OWN_WIDTH**2 if steepest.min() > 0 else math.inf
    return math.sqrt(max(widest, 0.0))


def noise_sigma(image: Tensor) -> float:
    """Estimate the standard deviation of the white noise of ``(C, H, W)``, on the scale of the image.

    The median over pixels of a difference filter that no slope and no edge along an axis excites: Immerkaer, "Fast
    Noise Variance Estimation", CVIU 1996, with Donoho's median instead of the mean.
    """
    every = math.ceil(image.numel() / _STRIP)
    response = image[..., 2::every, :] - 2 * image[..., 1:-1:every, :] + image[..., :-2:every, :]
    response = response[..., 2:] - 2 * response[..., 1:-1] + response[..., :-2]
    return (response.abs().median() / (0.6745 * _RESPONSE_TO_NOISE)).item()


def data_weight(image: Tensor) -> float:
    """Return the weight of the data against the prior that suits the noise of ``(C, H, W)``."""
    variance = max(noise_sigma(image), 1e-4) ** 2
    return min(max(0.2 / variance, _SMALLEST_WEIGHT), LARGEST_WEIGHT)


def informative_crop(gray: Tensor, side: int) -> tuple[slice, slice]:
    """Return the rows and columns of the crop, at most ``side`` long, with the most detail to find a blur by.

    That is the one with the largest sum of gradients; clipped highlights do not count.
    """
    rows, columns = min(side, gray.shape[0]), min(side, gray.shape[1])
    step = max(1, side // 8)
    box = -(-rows // step), -(-columns // step)
    inside = F.avg_pool2d(_detail_of_cells(gray, step)[None, None], box, stride=1)[0, 0]
    inside = inside[: (gray.shape[0] - rows) // step + 1, : (gray.shape[1] - columns) // step + 1]
    row, column = divmod(int(inside.argmax()), inside.shape[1])
    return slice(row * step, row * step + rows), slice(column * step, column * step + columns)


def local_mean(values: Tensor, radius: int) -> Tensor:
    """Average ``(H, W)`` over squares of about this radius in pixels."""
    height, width = values.shape
    coarse = F.adaptive_avg_pool2d(values[None, None], (-(-height // _CELL), -(-width // _CELL)))
    cells = -(-radius // _CELL)
    averaged = F.avg_pool2d(F.pad(coarse, (cells,) * 4, mode="replicate"), 2 * cells + 1, stride=1)
    return F.interpolate(averaged, size=(height, width), mode="bilinear")[0, 0]


def _quantiles(gray: Tensor) -> tuple[float, float]:
    """Return the values that all but a few pixels lie between."""
    few = 1 + int(_OUTLIERS * (gray.numel() - 1))
    values = gray.flatten()
    return values.kthvalue(few).values.item(), values.kthvalue(gray.numel() + 1 - few).values.item()


def _strips(gray: Tensor) -> Iterator[Tensor]:
    """Yield all rows in strips that share two rows with the next one."""
    rows = max(3, _STRIP // gray.shape[1])
    for start in range(0, max(1, gray.shape[0] - 2), rows - 2):
        yield gray[start : start + rows]


def _steepest(values: Tensor) -> Tensor:
    """Return the largest slope of ``(H, W)`` in each direction, without the outermost pixels."""
    down, across = values[2:, 1:-1] - values[:-2, 1:-1], values[1:-1, 2:] - values[1:-1, :-2]
    angles = [math.pi * direction / _DIRECTIONS for direction in range(_DIRECTIONS)]
    slopes = [(math.cos(angle) / 2 * across).add_(down, alpha=math.sin(angle) / 2) for angle in angles]
    return torch.stack([slope.abs_().max() for slope in slopes])


def _detail_of_cells(gray: Tensor, side: int) -> Tensor:
    """Return the mean gradient in squares of this side; what lies outside of the image counts as zero."""
    down, across = torch.gradient(gray)
    detail = down.abs_().add_(across.abs_()).mul_(gray < _BRIGHTEST)
    detail = F.pad(detail, (0, -gray.shape[1] % side, 0, -gray.shape[0] % side))
    return F.avg_pool2d(detail[None, None], side)[0, 0]
