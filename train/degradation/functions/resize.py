"""Reduction by an integer factor: antialiased, as one matrix along each axis, or not."""

from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.layers import BICUBIC_HALO, LANCZOS_HALO, keys_kernel, lanczos_kernel
from train.degradation.functions.encoding import quantise

Kernel = Literal["bicubic", "lanczos"]
# Weights at distances in pixels of the result, and from where they are zero.
_KERNELS = {"bicubic": (keys_kernel, BICUBIC_HALO), "lanczos": (lanczos_kernel, LANCZOS_HALO)}


def bicubic_downscale(image: Tensor, scale: int, *, rounded: bool = False) -> Tensor:
    """Reduce by an integer factor as MATLAB's ``imresize`` does: antialiased Keys kernel (a = -0.5).

    Args:
        image: H and W multiples of ``scale``.
        scale: Factor.
        rounded: Round to 8 bit after each of the two passes, rows first, as MATLAB does with uint8 images; the
            standard test sets are made so.
    """
    return _downscale(image, scale, "bicubic", rounded)


def lanczos_downscale(image: Tensor, scale: int, *, rounded: bool = False) -> Tensor:
    """Reduce as MATLAB's ``imresize(..., "lanczos3")`` and Pillow do; arguments as of `bicubic_downscale`."""
    return _downscale(image, scale, "lanczos", rounded)


def area_downscale(image: Tensor, scale: int, *, rounded: bool = False) -> Tensor:
    """Reduce to the means of ``scale`` x ``scale`` pixels, as OpenCV's ``INTER_AREA`` does.

    Args:
        image: H and W multiples of ``scale``.
        scale: Factor.
        rounded: Round the means to 8 bit.
    """
    return _interpolate(image, scale, "area", rounded)


def aliased_downscale(image: Tensor, scale: int, *, rounded: bool = False) -> Tensor:
    """Reduce as OpenCV's ``INTER_CUBIC`` does, which looks at 4x4 pixels whatever the factor: fine detail aliases.

    Args:
        image: H and W multiples of ``scale``.
        scale: Factor.
        rounded: Clip and round to 8 bit.
    """
    return _interpolate(image, scale, "bicubic", rounded)


@lru_cache(maxsize=64)
def downscale_matrix(size: int, scale: int, kernel: Kernel = "bicubic") -> Tensor:
    """Return the ``(size / scale, size)`` matrix of MATLAB's antialiased reduction along one axis."""
    _refuse_uneven(size, scale)
    function, reach = _KERNELS[kernel]
    centres = (torch.arange(size // scale, dtype=torch.float64) + 0.5) * scale - 0.5
    first = torch.floor(centres - reach * scale).long() + 1
    taps = first[:, None] + torch.arange(2 * reach * scale)
    weights = function((taps - centres[:, None]) / scale)
    weights = weights / weights.sum(dim=1, keepdim=True)
    # MATLAB mirrors at the border with the edge pixel repeated; a tiny image more than once.
    folded = taps % (2 * size)
    mirrored = torch.where(folded >= size, 2 * size - 1 - folded, folded)
    matrix = torch.zeros(size // scale, size, dtype=torch.float64)
    return matrix.scatter_add_(1, mirrored, weights)


def _downscale(image: Tensor, scale: int, kernel: Kernel, rounded: bool) -> Tensor:
    rows = downscale_matrix(image.shape[-2], scale, kernel).to(image)
    columns = downscale_matrix(image.shape[-1], scale, kernel).to(image)
    reduced = rows @ image
    if rounded:
        reduced = quantise(reduced)
    reduced = reduced @ columns.T
    return quantise(reduced) if rounded else reduced


def _interpolate(image: Tensor, scale: int, mode: str, rounded: bool) -> Tensor:
    height, width = image.shape[-2:]
    _refuse_uneven(height, scale)
    _refuse_uneven(width, scale)
    reduced = F.interpolate(image, (height // scale, width // scale), mode=mode)
    return quantise(reduced) if rounded else reduced


def _refuse_uneven(size: int, scale: int) -> None:
    if size % scale:
        raise ValueError(f"got {size} pixels, expected a multiple of {scale}; crop the image first")
