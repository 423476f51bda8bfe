"""Blur kernels, ``(B, K, K)`` with odd K and sum 1, and the tracks of a shaken camera."""

import math

import torch
from torch import Generator, Tensor


def gaussian_kernels(sigma: Tensor, size: int) -> Tensor:
    """Isotropic Gaussians of standard deviation ``sigma`` pixels."""
    squared = _squared_radius(size, sigma.device)
    return _normalise(torch.exp(-squared / (2 * sigma.view(-1, 1, 1) ** 2)))


def defocus_kernels(radius: Tensor, size: int) -> Tensor:
    """Discs of ``radius`` pixels with an edge one pixel soft, the blur of a lens out of focus."""
    distance = _squared_radius(size, radius.device).sqrt()
    return _normalise((radius.view(-1, 1, 1) + 0.5 - distance).clamp(0, 1))


def shake_kernels(length: Tensor, size: int, generator: Generator | None = None, steps: int = 64) -> Tensor:
    """Tracks of a hand-held camera during exposure, drawn as kernels.

    The kernel's centre of mass lies in its middle, so that the sharp image is where the blurred one is.

    Args:
        length: Extent of the track (the longer side of its bounding box) in pixels.
        size: Kernel size; what little reaches beyond is kept at its edge.
        generator: Source of randomness.
        steps: Points along the track.
    """
    track = random_tracks(length.numel(), steps, 2, length.device, generator)
    return _splat(with_extent(track, length) + size // 2, size)


def random_tracks(count: int, steps: int, axes: int, device: torch.device, generator: Generator | None) -> Tensor:
    """Draw ``(count, steps, axes)`` motions of a hand: a velocity that drifts at random and sometimes jerks.

    After Boracchi and Foi, "Modeling the performance of image restoration from motion blur", IEEE TIP 2012.
    """
    shape = (count, steps, axes)
    drift = torch.randn(shape, generator=generator, device=device) * 0.25
    jerk = torch.rand((count, steps, 1), generator=generator, device=device) < 1 / steps
    jolt = torch.randn(shape, generator=generator, device=device) * 2 * jerk
    start = torch.randn((count, 1, axes), generator=generator, device=device) * 2
    return (start + (drift + jolt).cumsum(dim=1)).cumsum(dim=1)


def with_extent(track: Tensor, length: Tensor) -> Tensor:
    """Centre ``(B, N, axes)`` tracks on zero and stretch them until their longest axis spans ``length``."""
    extent = (track.amax(dim=1) - track.amin(dim=1)).amax(dim=1).view(-1, 1, 1)
    return (track - track.mean(dim=1, keepdim=True)) / extent * length.view(-1, 1, 1)


def kernel_size(radius: float) -> int:
    """Smallest odd size that holds a kernel of ``radius`` pixels and its soft edge."""
    return 2 * math.ceil(radius + 1) + 1


def _splat(points: Tensor, size: int) -> Tensor:
    """Spread ``(B, N, 2)`` points (row, column) bilinearly over a ``size`` x ``size`` grid; sums become 1."""
    floor = points.floor()
    fraction = points - floor
    kernels = points.new_zeros(points.shape[0], size * size)
    for row in (0, 1):
        for column in (0, 1):
            corner = torch.tensor([row, column], device=points.device)
            weight = torch.where(corner.bool(), fraction, 1 - fraction).prod(dim=2)
            cell = (floor.long() + corner).clamp(0, size - 1)
            kernels.scatter_add_(1, cell[..., 0] * size + cell[..., 1], weight)
    return _normalise(kernels.view(-1, size, size))


def _squared_radius(size: int, device: torch.device) -> Tensor:
    offsets = torch.arange(size, device=device, dtype=torch.float32) - size // 2
    return (offsets[:, None] ** 2 + offsets[None, :] ** 2).unsqueeze(0)


def _normalise(kernels: Tensor) -> Tensor:
    return kernels / kernels.sum(dim=(1, 2), keepdim=True)
