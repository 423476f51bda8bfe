"""Blind estimation of a blur kernel from strong edges: Xu, Zheng, Jia, "Unnatural L0 Sparse Representation for Natural
Image Deblurring", CVPR 2013. https://doi.org/10.1109/CVPR.2013.147 (studied in IPOL 2019/243)

From coarse to fine, in turn:
    latent image:  minimise |kernel * u - image|^2 + smoothness * (number of pixels where u has an edge)
    kernel:        minimise |kernel * differences(u) - differences(image)|^2 + ridge |kernel|^2, within its square

The kernel's equations are solved within its square and for weights from 0, not by dividing spectra and cutting out the
square: what lies outside is then part of the fit and thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.deconvolution.fourier import (
    Placement,
    adjoint_differences,
    differences,
    divide_by_power,
    fast_length,
    pad_periodic,
    spectra_of,
)
from stages.deconvolution.kernels import clean_kernel, reach, resized_kernel

_SCALE_STEP, _SMALLEST_SIZE = 0.5**0.5, 5
# Once the kernel is seen at a coarse scale, its square need not reach farther than this times the kernel.
_FINE_ENOUGH, _ROOM = 0.35, 2.0
_ROUNDS, _COUPLING_GROWTH, _LAST_COUPLING = 5, 2.0, 1e3
# From one round to the next the smoothness falls by this; over a scale by as much as the growth says.
_SMOOTHNESS_STEP = 1.1
_SMOOTHNESS_GROWTH = _ROUNDS * math.log(_SMOOTHNESS_STEP) / math.log(_SCALE_STEP)
_RIDGE, _GRADIENT_STEPS = 2.0, 50


def estimate_kernel(blurred: Tensor, size: int, smoothness: float) -> Tensor:
    """Estimate the kernel that an image was blurred with.

    Args:
        blurred: Gray, ``(H, W)``, about 0 to 1.
        size: Side of the largest kernel, odd.
        smoothness: Cost of an edge in the latent image at the coarsest scale; a tenth less every round. 0.008 suits
            most photos.

    Returns:
        ``(K, K)``, K odd and at most ``size``; not negative, sum one, centre of mass in the middle.
    """
    kernel = _first_kernel()
    for scale in _scales(size):
        scaled = _downscaled(blurred, scale)
        kernel = clean_kernel(resized_kernel(kernel, _odd(size * scale)))
        kernel = _refine(scaled, kernel, smoothness * scale**_SMOOTHNESS_GROWTH)
        if scale >= _FINE_ENOUGH:
            size = min(size, _odd((2 * _ROOM * reach(kernel) + 3) / scale))
    return kernel


def _first_kernel() -> Tensor:
    """Return two neighbouring points: a single one would be a solution by itself."""
    kernel = torch.zeros(_SMALLEST_SIZE, _SMALLEST_SIZE)
    middle = _SMALLEST_SIZE // 2
    kernel[middle, middle - 1 : middle + 1] = 0.5
    return kernel


def _scales(size: int) -> list[float]:
    """Return by how much the image is downscaled, from coarse, where the kernel is smallest, to 1."""
    levels = math.ceil(math.log(size / _SMALLEST_SIZE) / -math.log(_SCALE_STEP))
    return [_SCALE_STEP**level for level in range(levels, -1, -1)]


def _downscaled(image: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return image
    shape = [max(1, round(side * scale)) for side in image.shape]
    return F.interpolate(image[None, None], size=shape, mode="bilinear", antialias=True)[0, 0]


def _odd(size: float) -> int:
    return max(_SMALLEST_SIZE, int(size) // 2 * 2 + 1)


def _refine(image: Tensor, kernel: Tensor, smoothness: float) -> Tensor:
    """Solve for latent image and kernel in turn, at one scale, with a smoothness that comes down to the given one."""
    size = len(kernel)
    padded, placement = pad_periodic(image, size)
    window = _window(placement, padded, size)
    observed = [difference * window for difference in differences(padded)]
    for remaining in reversed(range(_ROUNDS)):
        latent = sharp_edges(padded, kernel, smoothness * _SMOOTHNESS_STEP**remaining)
        edges = [difference * window for difference in differences(latent)]
        kernel = clean_kernel(_fit_kernel(edges, observed, size))
    return kernel


def sharp_edges(blurred: Tensor, kernel: Tensor, smoothness: float) -> Tensor:
    """Return the latent image: flat between as few and strong edges as explain the blurred one.

    By half-quadratic splitting, whose coupling grows.

    Args:
        blurred: Gray, ``(H, W)``, padded to be periodic.
        kernel: ``(K, K)``.
        smoothness: Cost of an edge.
    """
    shape = (blurred.shape[0], blurred.shape[1])
    spectrum, power, difference_power = spectra_of(kernel, shape)
    data = spectrum.conj() * torch.fft.rfft2(blurred)
    latent, coupling = blurred, 2 * smoothness
    while coupling < _LAST_COUPLING:
        across, down = differences(latent)
        edge = across.square().addcmul_(down, down).ge_(smoothness / coupling)
        prior = torch.fft.rfft2(adjoint_differences(across.mul_(edge), down.mul_(edge)))
        explained = divide_by_power(prior.mul_(coupling).add_(data), power + coupling * difference_power)
        latent = torch.fft.irfft2(explained, s=shape)
        coupling *= _COUPLING_GROWTH
    return latent


def _fit_kernel(edges: list[Tensor], observed: list[Tensor], size: int) -> Tensor:
    """Return the ``(size, size)`` weights that map the latent image's differences to the observed ones best."""
    shape = edges[0].shape
    spectra = [torch.fft.rfft2(torch.stack(pair)) for pair in zip(edges, observed, strict=True)]
    cross = torch.fft.irfft2(sum(edge.conj() * seen for edge, seen in spectra), s=shape)
    power = torch.fft.irfft2(sum(edge.abs().square() for edge, _ in spectra), s=shape)
    radius = size // 2
    target = torch.roll(cross, (radius, radius), (0, 1))[:size, :size].double()
    correlation = torch.roll(power, (size - 1, size - 1), (0, 1))[: 2 * size - 1, : 2 * size - 1].double()
    side = fast_length(3 * size - 2)
    spectrum = torch.fft.rfft2(correlation, s=(side, side))
    inner = slice(size - 1, 2 * size - 1)

    def normal(weights: Tensor) -> Tensor:
        product = torch.fft.irfft2(spectrum * torch.fft.rfft2(weights, s=(side, side)), s=(side, side))
        return product[inner, inner] + _RIDGE * weights

    return _nonnegative_solution(normal, target, spectrum.abs().max().item() + _RIDGE).float()


def _nonnegative_solution(product: Callable[[Tensor], Tensor], target: Tensor, largest: float) -> Tensor:
    """Solve ``product(weights) = target`` as well as weights from 0 can, by accelerated projected gradients.

    Args:
        product: Symmetric and positive.
        target: The right-hand side.
        largest: Bound of the product's eigenvalues.
    """
    weights = torch.full_like(target, 1 / target.numel())
    ahead, momentum = weights, 1.0
    for _ in range(_GRADIENT_STEPS):
        previous, weights = weights, (ahead - (product(ahead) - target) / largest).clamp_min(0)
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead, momentum = weights + (momentum - 1) / following * (weights - previous), following
    return weights


def _window(placement: Placement, padded: Tensor, margin: int) -> Tensor:
    """Return weights that fade out towards the image's borders and are zero in the padding."""
    window = torch.zeros_like(padded)
    placement.crop(window).copy_(torch.outer(_fade(placement.height, margin / 2), _fade(placement.width, margin / 2)))
    return window


def _fade(length: int, ramp: float) -> Tensor:
    place = torch.arange(length) + 0.5
    return 0.5 - 0.5 * torch.cos(torch.pi * (torch.minimum(place, length - place) / ramp).clamp_max(1))
