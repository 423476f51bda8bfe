"""How near a restored image comes to the clean one: the one definition of every figure in this project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from skimage.metrics import structural_similarity
from torch import Tensor

PSNR_LIMIT = 100.0
SSIM_WINDOW = 11


class Metric(NamedTuple):
    """How a figure is shown: its title, and its digits behind the point."""

    title: str
    digits: int


# In the order in which they are shown.
METRICS = {
    "psnr_rgb": Metric("PSNR RGB", 2),
    "psnr_y": Metric("PSNR-Y", 2),
    "ssim_y": Metric("SSIM-Y", 4),
    "lpips": Metric("LPIPS", 4),
}

_LUMA = (65.481, 128.553, 24.966)


def measured(figures: Iterable[Mapping[str, float]]) -> dict[str, Metric]:
    """Return the metrics that all of these figures hold."""
    every = [set(one) for one in figures]
    return {name: metric for name, metric in METRICS.items() if all(name in one for one in every)}


def psnr_rgb(restored: Tensor, clean: Tensor) -> float:
    """Return the PSNR over all three channels and all pixels, in dB."""
    return _psnr(restored, clean)


def psnr_y(restored: Tensor, clean: Tensor, border: int) -> float:
    """Return the PSNR over the luma of BT.601, without the outermost ``border`` pixels, in dB."""
    return _psnr(_without(border, luma(restored)), _without(border, luma(clean)))


def ssim_y(restored: Tensor, clean: Tensor, border: int) -> float:
    """Return the structural similarity of the luma of BT.601, without the outermost ``border`` pixels; at most 1.

    Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, TIP 2004, as in
    scikit-image's ``structural_similarity`` with the paper's Gaussian window (11x11, sigma 1.5), population
    covariance and ``data_range=1``, which is 255 in 8 bits although luma spans 16 to 235 only.

    Args:
        restored: RGB, ``(1, 3, H, W)`` in ``[0, 1]``.
        clean: The same size.
        border: Pixels cut from each side.

    Raises:
        ValueError: if less than the window is left.
    """
    ours, theirs = (_without(border, luma(image))[0, 0].double().numpy() for image in (restored, clean))
    if min(ours.shape) < SSIM_WINDOW:
        height, width = ours.shape
        raise ValueError(
            f"SSIM needs {SSIM_WINDOW}x{SSIM_WINDOW} pixels or more, got {width}x{height} without the border"
        )
    return float(
        structural_similarity(
            theirs, ours, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def luma(image: Tensor) -> Tensor:
    """Return the Y of BT.601 in video range (16/255 to 235/255), ``(B, 1, H, W)``, not rounded to levels."""
    coefficients = torch.tensor(_LUMA, device=image.device).view(1, 3, 1, 1) / 255
    return (image * coefficients).sum(dim=1, keepdim=True) + 16 / 255


def _psnr(restored: Tensor, clean: Tensor) -> float:
    """Return at most ``PSNR_LIMIT``, so that a mean stays finite where two images are the same."""
    error = (restored.double() - clean.double()).square().mean()
    return min(PSNR_LIMIT, float(-10 * error.log10()))


def _without(border: int, image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    return image[..., border : height - border, border : width - border]
