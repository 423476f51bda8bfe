"""What spoils photographs, as batched pure functions on whatever device the images are on.

All take and return ``(B, C, H, W)`` floats in ``[0, 1]``; parameters are one value an image, ``(B,)``. Blur kernels
are ``(B, K, K)`` with odd K and sum 1.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from stages.layers import keys_kernel


def add_gaussian_noise(image: Tensor, sigma: Tensor, generator: Generator | None = None) -> Tensor:
    """Add white Gaussian noise, as in the DnCNN training set.

    Args:
        image: Clean image.
        sigma: Standard deviations in 8-bit grey levels (25 means 25/255).
        generator: Source of randomness; the global one if absent.

    Returns:
        The noisy image. **Not** clamped: clipping would bias the noise near black and white.
    """
    noise = torch.randn(image.shape, generator=generator, device=image.device, dtype=image.dtype)
    return image + noise * (sigma / 255).view(-1, 1, 1, 1)


def quantise(image: Tensor) -> Tensor:
    """Clip to ``[0, 1]`` and round to the 256 levels of a file."""
    return image.clamp(0, 1).mul(255).round().div(255)


def gaussian_kernels(sigma: Tensor, size: int) -> Tensor:
    """Isotropic Gaussians of standard deviation ``sigma`` pixels."""
    squared = _squared_radius(size, sigma.device)
    return _normalise(torch.exp(-squared / (2 * sigma.view(-1, 1, 1) ** 2)))


def defocus_kernels(radius: Tensor, size: int) -> Tensor:
    """Discs of ``radius`` pixels with an edge one pixel soft, the blur of a lens out of focus."""
    distance = _squared_radius(size, radius.device).sqrt()
    return _normalise((radius.view(-1, 1, 1) + 0.5 - distance).clamp(0, 1))


def shake_kernels(length: Tensor, size: int, generator: Generator | None = None, steps: int = 64) -> Tensor:
    """Tracks of a hand-held camera during exposure: a velocity that drifts at random and sometimes jerks.

    After Boracchi and Foi, "Modeling the performance of image restoration from motion blur", IEEE TIP 2012. The
    kernel's centre of mass lies in its middle, so that the sharp image is where the blurred one is.

    Args:
        length: Extent of the track (the longer side of its bounding box) in pixels.
        size: Kernel size; what little reaches beyond is kept at its edge.
        generator: Source of randomness.
        steps: Points along the track.
    """
    count, device = length.numel(), length.device
    shape = (count, steps, 2)
    drift = torch.randn(shape, generator=generator, device=device) * 0.25
    jerk = torch.rand((count, steps, 1), generator=generator, device=device) < 1 / steps
    jolt = torch.randn(shape, generator=generator, device=device) * 2 * jerk
    start = torch.randn((count, 1, 2), generator=generator, device=device) * 2
    track = (start + (drift + jolt).cumsum(dim=1)).cumsum(dim=1)
    extent = (track.amax(dim=1) - track.amin(dim=1)).amax(dim=1).view(-1, 1, 1)
    centred = (track - track.mean(dim=1, keepdim=True)) / extent * length.view(-1, 1, 1)
    return _splat(centred + size // 2, size)


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


def blur(image: Tensor, kernels: Tensor) -> Tensor:
    """Convolve every image with its own kernel (through the FFT); borders repeat the outermost pixels."""
    radius = kernels.shape[-1] // 2
    padded = F.pad(image, (radius,) * 4, mode="replicate")
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernels, s=size).unsqueeze(1)
    result = torch.fft.irfft2(spectrum, s=size)
    return result[..., 2 * radius :, 2 * radius :]


def to_linear_light(image: Tensor) -> Tensor:
    """Undo the camera's tone curve (gamma 2.2, as the GoPro data set assumes)."""
    return image.clamp_min(0).pow(2.2)


def from_linear_light(image: Tensor) -> Tensor:
    """Apply the camera's tone curve; the inverse of `to_linear_light`."""
    # The gradient of a root is infinite at zero; half an 8-bit level's light is black.
    return image.clamp_min(1e-6).pow(1 / 2.2)


def bicubic_downscale(image: Tensor, scale: int, *, rounded: bool = False) -> Tensor:
    """Reduce by an integer factor as MATLAB's ``imresize`` does: antialiased Keys kernel (a = -0.5).

    Args:
        image: H and W multiples of ``scale``.
        scale: Factor.
        rounded: Round to 8 bit after each of the two passes, rows first, as MATLAB does with uint8 images; the
            standard test sets are made so.
    """
    rows = downscale_matrix(image.shape[-2], scale).to(image)
    columns = downscale_matrix(image.shape[-1], scale).to(image)
    reduced = rows @ image
    if rounded:
        reduced = quantise(reduced)
    reduced = reduced @ columns.T
    return quantise(reduced) if rounded else reduced


@lru_cache(maxsize=64)
def downscale_matrix(size: int, scale: int) -> Tensor:
    """Return the ``(size / scale, size)`` matrix of MATLAB's antialiased bicubic along one axis."""
    if size % scale:
        raise ValueError(f"got {size} pixels, expected a multiple of {scale}; crop the image first")
    centres = (torch.arange(size // scale, dtype=torch.float64) + 0.5) * scale - 0.5
    first = torch.floor(centres - 2 * scale).long() + 1
    taps = first[:, None] + torch.arange(4 * scale)
    weights = keys_kernel((taps - centres[:, None]) / scale)
    weights = weights / weights.sum(dim=1, keepdim=True)
    # MATLAB mirrors at the border with the edge pixel repeated.
    mirrored = torch.where(taps < 0, -taps - 1, torch.where(taps >= size, 2 * size - 1 - taps, taps))
    matrix = torch.zeros(size // scale, size, dtype=torch.float64)
    return matrix.scatter_add_(1, mirrored, weights)


def _squared_radius(size: int, device: torch.device) -> Tensor:
    offsets = torch.arange(size, device=device, dtype=torch.float32) - size // 2
    return (offsets[:, None] ** 2 + offsets[None, :] ** 2).unsqueeze(0)


def _normalise(kernels: Tensor) -> Tensor:
    return kernels / kernels.sum(dim=(1, 2), keepdim=True)


def kernel_size(radius: float) -> int:
    """Smallest odd size that holds a kernel of ``radius`` pixels and its soft edge."""
    return 2 * math.ceil(radius + 1) + 1
