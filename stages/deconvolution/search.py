"""Find the blur of a photo, or the reason to leave it alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import torch
from torch import Tensor

from stages.deconvolution.candidates import Candidate, estimated, rated
from stages.deconvolution.kernels import aligned, connected_share, widened
from stages.deconvolution.measures import blur_width, informative_crop, luma
from stages.deconvolution.places import Places, kernels_by_place

Light = Literal["auto", "linear", "encoded"]

# Sharp photos lie below 0.7 px, most shakes of ten pixels above (docs/shaken.md); undoing less gains next to nothing.
_SHARP = 1.6
_CROP, _SMALLEST_SIDE = 512, 48
_SMOOTHNESS = 1e-3
# What else is tried to see whether the kernel stays; the last only where the others disagree.
_OTHER_SMOOTHNESSES, _LAST_SMOOTHNESS = (5e-4, 2e-3), 4e-3
_LEAST_AGREEMENT, _LEAST_CONNECTED, _MOST_RINGING = 0.88, 0.8, 1.8
# Where the kernels of parts of the photo resemble the photo's by less than this on average, the blur is undone in part:
# what an inexact kernel gets wrong falls faster with the strength than what it gets right.
_LEAST_SUPPORT, _STRENGTH_IN_DOUBT = 0.8, 0.7
# A kernel estimated in linear light separates the two, but not if it rings more than one estimated in the file's
# values by this factor.
_MOST_MORE_RINGING = 1.08


@dataclass(frozen=True)
class Search:
    """What became of the search for a blur.

    Attributes:
        kernel: ``(K, K)``; None where the photo is better left alone.
        by_place: ``(rows, columns, L, L)``, for equal parts of the photo: ``kernel`` alone where it serves everywhere.
        linear: The blur happened to linear light, not to the file's values.
        reason: Why the photo is left alone, or what was found, in words.
        width: ``blur_width`` of the photo, in pixels.
        agreement: Normalised correlation of the kernel and the other estimate that it resembles most.
        ringing: As of the kernel's candidate.
        strength: How far to believe it: what share of the difference to apply.
    """

    kernel: Tensor | None
    linear: bool
    reason: str
    width: float
    agreement: float | None = None
    ringing: float | None = None
    by_place: Tensor | None = None
    strength: float = 1.0


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
    if reason:
        return Search(None, best.linear, reason, width, agreement, best.ringing)
    return _with_places(
        Search(best.kernel, best.linear, "a shake", width, agreement, best.ringing, best.kernel[None, None]),
        kernels_by_place(gray, best.kernel, linear=best.linear),
    )


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


def _with_places(search: Search, places: Places | None) -> Search:
    """Use a kernel for each part where they differ, and undo less of the blur where they are unlike the photo's."""
    if places is None:
        return search
    if places.kernels is not None:
        search = replace(search, by_place=places.kernels, reason="a shake that differs from place to place")
    if places.support < _LEAST_SUPPORT:
        reason = f"{search.reason}, undone in part: parts of the photo agree to {places.support:.2f} only"
        return replace(search, strength=_STRENGTH_IN_DOUBT, reason=reason)
    return search


def _candidates(crop: Tensor, max_kernel: int, light: Light) -> list[Candidate]:
    """Estimate kernels in the light that was blurred; one more where those disagree."""
    first = estimated(crop, max_kernel, _SMOOTHNESS, linear=light != "encoded")
    if light == "auto":
        encoded = estimated(crop, max_kernel, _SMOOTHNESS, linear=False)
        otherwise = rated(first.kernel, crop, linear=False)
        if first.ringing > min(otherwise.ringing, _MOST_MORE_RINGING * encoded.ringing):
            first = encoded
    candidates = [
        first,
        *(estimated(crop, max_kernel, smoothness, linear=first.linear) for smoothness in _OTHER_SMOOTHNESSES),
    ]
    if _most_agreed(candidates)[1] < _LEAST_AGREEMENT:
        candidates.append(estimated(crop, max_kernel, _LAST_SMOOTHNESS, linear=first.linear))
    return candidates


def _rings_less_in_linear_light(crop: Tensor, kernel: Tensor) -> bool:
    return rated(kernel, crop, linear=True).ringing <= rated(kernel, crop, linear=False).ringing


def _most_agreed(candidates: list[Candidate]) -> tuple[Candidate, float]:
    """Return the candidate whose kernel resembles the others most, and how much it resembles the closest of them."""
    size = max(len(candidate.kernel) for candidate in candidates)
    kernels = [widened(candidate.kernel, size) for candidate in candidates]
    likeness = torch.eye(len(kernels))
    for first, second in combinations(range(len(kernels)), 2):
        likeness[first, second] = likeness[second, first] = aligned(kernels[first], kernels[second])[1]
    best = int(likeness.sum(dim=0).argmax())
    return candidates[best], likeness[best].sort(descending=True).values[1].item()


def _doubt(best: Candidate, agreement: float) -> str:
    """Return why a kernel is not believed; empty if it is."""
    if agreement < _LEAST_AGREEMENT:
        return f"no single shake: kernels agree to {agreement:.2f} only"
    if connected_share(best.kernel) < _LEAST_CONNECTED:
        return "no single shake: the kernel falls into parts"
    if best.ringing > _MOST_RINGING:
        return f"undoing it would ring ({best.ringing:.2f})"
    return ""
