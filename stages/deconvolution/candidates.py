"""Kernels that may have blurred a crop, and what speaks for them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from stages.deconvolution.estimation import estimate_kernel
from stages.deconvolution.hyper_laplacian import deconvolve, sparsity
from stages.deconvolution.measures import LARGEST_WEIGHT
from stages.light import from_linear_light, to_linear_light


@dataclass(frozen=True)
class Candidate:
    """A kernel and how natural the crop is that it gives.

    Attributes:
        kernel: ``(K, K)``.
        linear: The blur happened to linear light, not to the file's values.
        ringing: How much less sparse the deblurred crop is than the blurred one; ringing has edges everywhere.
    """

    kernel: Tensor
    linear: bool
    ringing: float


def estimated(crop: Tensor, max_kernel: int, smoothness: float, *, linear: bool) -> Candidate:
    """Estimate the kernel of a gray crop, as in the file; the arguments are those of ``estimate_kernel``."""
    values = to_linear_light(crop) if linear else crop
    return rated(estimate_kernel(values, max_kernel, smoothness), crop, linear=linear)


def rated(kernel: Tensor, crop: Tensor, *, linear: bool) -> Candidate:
    """Deconvolve a crop by a kernel and see what comes out, in the file's values."""
    values = to_linear_light(crop) if linear else crop
    sharp = deconvolve(values[None], kernel, LARGEST_WEIGHT)
    if linear:
        sharp = from_linear_light(sharp)
    margin = len(kernel) // 2
    inner = slice(margin, -margin)
    return Candidate(kernel, linear, sparsity(sharp[..., inner, inner]) / sparsity(crop[inner, inner]))
