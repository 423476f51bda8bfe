"""Image quality metrics against a clean reference: the one definition for evaluation, reports and training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import NamedTuple

import torch
from skimage.metrics import structural_similarity
from torch import Tensor

PSNR_LIMIT = 100.0
SSIM_WINDOW = 11


class Metric(NamedTuple):
    """How a metric is shown: its title, and its number of decimals."""

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


def measured(scores: Iterable[Mapping[str, float]]) -> dict[str, Metric]:
    """Return the metrics that all of these scores hold."""
    every = [set(one) for one in scores]
    return {name: metric for name, metric in METRICS.items() if all(name in one for one in every)}


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Compute the PSNR of each image of a batch over all channels and pixels, in dB.

    Args:
        restored: ``(B, C, H, W)`` in ``[0, 1]``, on any device.
        clean: The same size.

    Returns:
        ``(B,)`` on the same device; at most ``PSNR_LIMIT``, so that a mean stays finite where two images are equal.
    """
    error = (restored.float() - clean.float()).square().flatten(1).mean(dim=1)
    return (-10 * error.log10()).clamp_max(PSNR_LIMIT)


def psnr_rgb(restored: Tensor, clean: Tensor) -> float:
    """Compute the PSNR over RGB and all pixels, in dB; the mean over the images of a batch."""
    return float(psnr(restored, clean).mean())


def psnr_y(restored: Tensor, clean: Tensor, border: int) -> float:
    """Compute the PSNR over the luma of BT.601 without the outermost ``border`` pixels, in dB; the mean of a batch."""
    return float(psnr(_without(border, luma(restored)), _without(border, luma(clean))).mean())


def ssim_y(restored: Tensor, clean: Tensor, border: int) -> float:
    """Compute the SSIM of the luma of BT.601 without the outermost ``border`` pixels; the mean of a batch, at most 1.

    Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, TIP 2004, as in
    scikit-image's ``structural_similarity`` with the paper's Gaussian window (11x11, sigma 1.5), population
    covariance and ``data_range=1``, which is 255 in 8 bits although luma spans 16 to 235 only.

    Args:
        restored: RGB, ``(B, 3, H, W)`` in ``[0, 1]``, on any device.
        clean: The same size.
        border: Pixels cut from each side.

    Raises:
        ValueError: if less than the window is left.
    """
    ours, theirs = (_without(border, luma(image))[:, 0].cpu().double().numpy() for image in (restored, clean))
    height, width = ours.shape[1:]
    if min(height, width) < SSIM_WINDOW:
        raise ValueError(
            f"SSIM needs {SSIM_WINDOW}x{SSIM_WINDOW} pixels or more, got {width}x{height} without the border"
        )
    return fmean(
        structural_similarity(
            clean_plane, plane, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for plane, clean_plane in zip(ours, theirs, strict=True)
    )


def luma(image: Tensor) -> Tensor:
    """Convert RGB to the Y of BT.601 in video range (16/255 to 235/255), ``(B, 1, H, W)``, not rounded to levels."""
    coefficients = torch.tensor(_LUMA, device=image.device).view(1, 3, 1, 1) / 255
    return (image * coefficients).sum(dim=1, keepdim=True) + 16 / 255


def _without(border: int, image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    return image[..., border : height - border, border : width - border]
