"""Blur kernels as arrays of weights: cleaned, centred, aligned, compared."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Weights below this share of the largest are taken for noise, as are islands with less than that share of the sum.
_SMALLEST_WEIGHT, _SMALLEST_ISLAND = 0.05, 0.03


def clean_kernel(weights: Tensor) -> Tensor:
    """Make a kernel of an estimate: no negative weights, no noise, centre of mass in the middle, sum one.

    Args:
        weights: ``(K, K)``, K odd. Without any positive weight it becomes a single point.
    """
    weights = weights.clamp_min(0)
    weights = _without_islands(torch.where(weights < _SMALLEST_WEIGHT * weights.max(), 0.0, weights))
    total = weights.sum()
    if not total > 0:
        return point_kernel(len(weights))
    return centred(weights / total)


def point_kernel(size: int) -> Tensor:
    """Return the kernel of no blur, ``(size, size)``."""
    kernel = torch.zeros(size, size)
    kernel[size // 2, size // 2] = 1
    return kernel


def centred(kernel: Tensor) -> Tensor:
    """Move a kernel of sum one by whole pixels until its centre of mass lies in the middle."""
    row, column = centre_of_mass(kernel)
    return _moved(kernel, -round(row), -round(column))


def centre_of_mass(kernel: Tensor) -> tuple[float, float]:
    """Return how many rows and columns from the middle the centre of mass of a kernel of sum one lies."""
    rows, columns = (torch.arange(side, device=kernel.device) - side // 2 for side in kernel.shape)
    return (kernel.sum(dim=1) * rows).sum().item(), (kernel.sum(dim=0) * columns).sum().item()


def reach(kernels: Tensor) -> int:
    """Return how far from the middle, in rows or columns, ``(..., K, K)`` kernels have weights."""
    return int((kernels.nonzero()[:, -2:] - kernels.shape[-1] // 2).abs().max())


def trimmed(kernels: Tensor) -> Tensor:
    """Cut off the zeros around ``(..., K, K)`` kernels, as many on each side."""
    middle, radius = kernels.shape[-1] // 2, reach(kernels)
    inner = slice(middle - radius, middle + radius + 1)
    return kernels[..., inner, inner]


def connected_share(kernel: Tensor) -> float:
    """Return how much of a kernel lies in its heaviest connected part, from 0 to 1; gaps of two pixels do not count.

    A camera's track is connected; points far from each other explain an image's own repetition.
    """
    reached = F.max_pool2d(kernel[None, None], 3, stride=1, padding=1)[0, 0] > 0
    masses = torch.bincount(_islands(reached).flatten(), weights=kernel.flatten())
    return (masses.max() / kernel.sum()).item()


def aligned(kernel: Tensor, reference: Tensor) -> tuple[Tensor, float]:
    """Move a kernel by whole pixels to where it resembles a reference most; return it and how much it does then.

    Returns:
        The kernel, and the normalised correlation: 1 for kernels that are equal, near 0 for unrelated ones.
    """
    size = len(kernel)
    shape = (2 * size, 2 * size)
    products = torch.fft.rfft2(reference, s=shape) * torch.fft.rfft2(kernel, s=shape).conj()
    correlation = torch.fft.irfft2(products, s=shape)
    row, column = divmod(int(correlation.argmax()), shape[1])
    similarity = correlation.max() / (kernel.norm() * reference.norm())
    row, column = (place - 2 * size if place >= size else place for place in (row, column))
    return _moved(kernel, row, column), float(similarity)


def widened(kernel: Tensor, size: int) -> Tensor:
    """Pad a kernel with zeros to a larger odd side."""
    return F.pad(kernel, ((size - len(kernel)) // 2,) * 4)


def resized_kernel(kernel: Tensor, size: int) -> Tensor:
    """Scale a kernel to another size, for an image scaled likewise."""
    return F.interpolate(kernel[None, None], size=(size, size), mode="bilinear", align_corners=False)[0, 0]


def _moved(kernel: Tensor, rows: int, columns: int) -> Tensor:
    """Move by whole pixels; nothing re-enters on the other side."""
    margin = max(abs(rows), abs(columns))
    padded = torch.roll(F.pad(kernel, (margin,) * 4), (rows, columns), (0, 1))
    moved = padded[margin : margin + kernel.shape[0], margin : margin + kernel.shape[1]]
    return moved / moved.sum()


def _without_islands(weights: Tensor) -> Tensor:
    islands = _islands(weights > 0)
    masses = torch.bincount(islands.flatten(), weights=weights.flatten())
    return torch.where(masses[islands] < _SMALLEST_ISLAND * weights.sum(), 0.0, weights)


def _islands(mask: Tensor) -> Tensor:
    """Number the connected parts of a mask, ``(H, W)``, from 1; 0 is outside."""
    from skimage.measure import label  # slow to start, and not needed to read a chain

    return torch.from_numpy(label(mask.numpy(), connectivity=2).astype(np.int64))
