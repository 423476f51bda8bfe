"""Deconvolution by a known kernel: Krishnan and Fergus, "Fast Image Deconvolution using Hyper-Laplacian Priors",
NIPS 2009. https://papers.nips.cc/paper/3707-fast-image-deconvolution-using-hyper-laplacian-priors

    minimise  weight / 2 |kernel * x - image|^2 + sum |differences of x|^(2/3)

by half-quadratic splitting: differences and image are solved for in turn, while their coupling grows.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.deconvolution.fourier import (
    adjoint_differences,
    differences,
    divide_by_power,
    fast_length,
    filtered,
    pad_periodic,
    phase_of,
    spectra_of,
    transfer_function,
)
from stages.deconvolution.kernels import centre_of_mass

_EXPONENT = 2 / 3
_COUPLINGS = tuple(8 ** (step / 2) for step in range(6))
# The table of ``soft_thresholded`` ends where no difference of two pixels gets.
_LARGEST, _STEPS_PER_UNIT = 2.0, 10000


def deconvolve(image: Tensor, kernel: Tensor, weight: float) -> Tensor:
    """Undo the blur by a known kernel.

    Args:
        image: ``(C, H, W)``, proportional to what was blurred, about 0 to 1.
        kernel: ``(K, K)``, K odd, sum one.
        weight: Of the data against the prior; 0.2 / variance of the noise.

    Returns:
        The deblurred image, same shape, not clamped. It lies where the image lies: the kernel's origin is its centre of
        mass.
    """
    observed, placement = pad_periodic(image, max(kernel.shape))
    shape = (observed.shape[-2], observed.shape[-1])
    kernel_spectrum, power, difference_power = spectra_of(kernel, shape)
    data = kernel_spectrum.conj() * torch.fft.rfft2(observed)
    estimate = observed
    for coupling in _COUPLINGS:
        across, down = (soft_thresholded(difference, coupling) for difference in differences(estimate))
        ratio = coupling / weight
        prior = torch.fft.rfft2(adjoint_differences(across, down))
        explained = divide_by_power(prior.mul_(ratio).add_(data), power + ratio * difference_power)
        estimate = torch.fft.irfft2(explained, s=shape)
    return placement.crop(filtered(estimate, phase_of(*centre_of_mass(kernel), like=estimate)))


def blur(image: Tensor, kernel: Tensor) -> Tensor:
    """Blur ``(C, H, W)`` as ``deconvolve`` takes it to have been blurred; borders repeat the outermost pixels."""
    margin = max(kernel.shape)
    height, width = image.shape[-2:]
    below, right = (fast_length(side + 2 * margin) - side - margin for side in (height, width))
    padded = F.pad(image[None], (margin, right, margin, below), mode="replicate")[0]
    row, column = centre_of_mass(kernel)
    shape = (padded.shape[-2], padded.shape[-1])
    spectrum = transfer_function(kernel, shape) * phase_of(-row, -column, like=padded)
    return filtered(padded, spectrum)[..., margin : margin + height, margin : margin + width]


def sparsity(image: Tensor) -> float:
    """Return the prior's cost per pixel, the mean of |differences|^(2/3); lower is more natural."""
    return sum(difference.abs().pow(_EXPONENT).mean().item() for difference in differences(image))


def soft_thresholded(values: Tensor, coupling: float) -> Tensor:
    """Return the w that minimises ``|w|^(2/3) + coupling / 2 (w - value)^2``, for every value, to 1e-4."""
    table = _thresholds(coupling).to(values)
    place = (values * _STEPS_PER_UNIT).add_(len(table) // 2 + 0.5).clamp_(0, len(table) - 1).int()
    return table.index_select(0, place.flatten()).view_as(values)


@lru_cache(maxsize=len(_COUPLINGS))
@torch.inference_mode(mode=False)
def _thresholds(coupling: float) -> Tensor:
    """Tabulate ``soft_thresholded``: Newton's method from above, or zero where that costs less."""
    values = torch.linspace(0, _LARGEST, int(_LARGEST * _STEPS_PER_UNIT) + 1, dtype=torch.float64, device="cpu")
    found = values.clone()
    for _ in range(30):
        slope = _EXPONENT * found.pow(_EXPONENT - 1) + coupling * (found - values)
        curvature = _EXPONENT * (_EXPONENT - 1) * found.pow(_EXPONENT - 2) + coupling
        found = torch.where(curvature > 0, found - slope / curvature, 0.0).clamp_min(1e-9)
    cost = found.pow(_EXPONENT) + coupling / 2 * (found - values).square()
    found = torch.where(cost < coupling / 2 * values.square(), found, 0.0)
    return torch.cat([-found[1:].flip(0), found])
