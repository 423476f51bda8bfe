"""Find the blur of a photo, or the reason to leave it alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from stages.deconvolution.estimation import estimate_kernel
from stages.deconvolution.hyper_laplacian import blur, deconvolve, sparsity
from stages.deconvolution.kernels import aligned
from stages.deconvolution.measures import LARGEST_WEIGHT, blur_width, informative_crop, luma
from stages.light import from_linear_light, to_linear_light

Light = Literal["auto", "linear", "encoded"]

# Sharp photos lie below 0.7 px, shakes of ten pixels above 1.3 (docs/shaken.md).
_SHARP = 1.5
_CROP, _SMALLEST_SIDE = 512, 48
_SMOOTHNESS = (5e-4, 1e-3, 2e-3)
_LEAST_AGREEMENT, _MOST_RINGING = 0.88, 1.8


@dataclass(frozen=True)
class Candidate:
    """A kernel and how well it explains the crop.

    Attributes:
        kernel: ``(K, K)``.
        linear: The blur happened to linear light, not to the file's values.
        cost: Of the deconvolution's energy per pixel, in the file's values; lower is better.
        ringing: How much less sparse the deblurred crop is than the blurred one; ringing has edges everywhere.
    """

    kernel: Tensor
    linear: bool
    cost: float
    ringing: float


@dataclass(frozen=True)
class Search:
    """What became of the search for a blur.

    Attributes:
        kernel: ``(K, K)``; None where the photo is better left alone.
        linear: The blur happened to linear light, not to the file's values.
        reason: Why the photo is left alone, or what was found, in words.
        width: ``blur_width`` of the photo, in pixels.
        agreement: Normalised correlation of the two estimates that resemble each other most.
        ringing: As of the kernel's candidate.
    """

    kernel: Tensor | None
    linear: bool
    reason: str
    width: float
    agreement: float | None = None
    ringing: float | None = None


def find_blur(image: Tensor, max_kernel: int, light: Light) -> Search:
    """Estimate the blur of a photo several times, and believe it if the estimates agree.

    Args:
        image: ``(3, H, W)`` in ``[0, 1]``, as in the file.
        max_kernel: Side of the largest kernel.
        light: What was blurred: ``linear`` light, the ``encoded`` values of the file, or ``auto`` for whichever makes
            the sparser image.
    """
    gray = luma(image)
    if min(gray.shape) < _SMALLEST_SIDE:
        return Search(None, False, f"too small: less than {_SMALLEST_SIDE} px on one side", 0.0)
    width = blur_width(gray)
    if width < _SHARP:
        return Search(None, False, f"no shake: the blur is at most {width:.1f} px wide", width)
    if width > max_kernel / 2:
        return Search(None, False, "no edges to find a blur by", width)
    crop = gray[informative_crop(gray, _CROP)]
    candidates = _candidates(crop, min(max_kernel, min(crop.shape) // 6 * 2 + 1), light)
    best, agreement = _most_agreed(candidates)
    reason = _doubt(best, agreement)
    kernel = None if reason else best.kernel
    return Search(kernel, best.linear, reason or "a shake", width, agreement, best.ringing)


def was_linear(image: Tensor, kernel: Tensor, light: Light) -> bool:
    """Return whether a known kernel blurred linear light; for ``auto``, whether undoing that rings less.

    Args:
        image: ``(3, H, W)`` in ``[0, 1]``, as in the file.
        kernel: ``(K, K)``, K odd.
        light: As of ``find_blur``.
    """
    gray = luma(image)
    if light != "auto" or min(gray.shape) < 2 * len(kernel):
        return light != "encoded"
    return _rings_less_in_linear_light(gray[informative_crop(gray, _CROP)], kernel)


def _candidates(crop: Tensor, max_kernel: int, light: Light) -> list[Candidate]:
    """Estimate kernels in the light that was blurred."""
    linear = light == "linear"
    if light == "auto":
        # A kernel estimated in linear light separates the two; one estimated in the file's values favours those.
        kernel = estimate_kernel(to_linear_light(crop), max_kernel, _SMOOTHNESS[1])
        linear = _rings_less_in_linear_light(crop, kernel)
    values = to_linear_light(crop) if linear else crop
    kernels = [estimate_kernel(values, max_kernel, smoothness) for smoothness in _SMOOTHNESS]
    return [_rated(kernel, crop, linear=linear) for kernel in kernels]


def _rings_less_in_linear_light(crop: Tensor, kernel: Tensor) -> bool:
    return _rated(kernel, crop, linear=True).ringing <= _rated(kernel, crop, linear=False).ringing


def _rated(kernel: Tensor, crop: Tensor, *, linear: bool) -> Candidate:
    """Deconvolve a crop, in the file's values, by a kernel and see what comes out."""
    values = to_linear_light(crop) if linear else crop
    sharp = deconvolve(values[None], kernel, LARGEST_WEIGHT)
    again = blur(sharp, kernel)
    margin = len(kernel) // 2
    inner = slice(margin, -margin)
    if linear:
        sharp, again = from_linear_light(sharp), from_linear_light(again)
    seen = crop[inner, inner]
    misfit = (again[..., inner, inner] - seen).square().mean().item()
    own = sparsity(sharp[..., inner, inner])
    return Candidate(kernel, linear, LARGEST_WEIGHT / 2 * misfit + own, own / sparsity(seen))


def _most_agreed(candidates: list[Candidate]) -> tuple[Candidate, float]:
    """Return, of the two kernels that resemble each other most, the one that explains the crop better; and how much."""
    size = max(len(candidate.kernel) for candidate in candidates)
    closest: tuple[Candidate, ...] = ()
    agreement = -1.0
    for pair in combinations(candidates, 2):
        similarity = aligned(*(_widened(candidate.kernel, size) for candidate in pair))[1]
        if similarity > agreement:
            closest, agreement = pair, similarity
    return min(closest, key=lambda candidate: candidate.cost), agreement


def _widened(kernel: Tensor, size: int) -> Tensor:
    return F.pad(kernel, ((size - len(kernel)) // 2,) * 4)


def _doubt(best: Candidate, agreement: float) -> str:
    """Return why a kernel is not believed; empty if it is."""
    if agreement < _LEAST_AGREEMENT:
        return f"no single shake: kernels agree to {agreement:.2f} only"
    if best.ringing > _MOST_RINGING:
        return f"undoing it would ring ({best.ringing:.2f})"
    return ""
