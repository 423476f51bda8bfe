"""Estimates the level of an image's noise from how much its parts vary, at four sizes.

    image -> luma, two colour differences -> at 1, 1/2, 1/4 and 1/8 of the size:
        [second differences -> root mean square of each block -> quantiles over blocks]
    level = a low quantile of the whole luma, corrected by three dense layers that see them all

Texture fills some blocks of an image, noise fills all of them, and differs from texture in how it spreads over sizes
and colours. Second differences leave even slopes out: Immerkaer, "Fast noise variance estimation", CVIU 1996.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.layers import zero_init

_LUMA = (0.299, 0.587, 0.114)
# Side of the blocks at each size, in pixels of that size.
_BLOCKS = (8, 8, 4, 4)
_QUANTILES = (0.05, 0.15, 0.3, 0.5, 0.8)
_QUIET = 1
_SMALLEST = 64
# Gray levels below which differences of noise are unseen.
_UNSEEN = 0.5


class NoiseEstimator(nn.Module):
    """Estimates the root mean square of the noise in each image.

    Args:
        width: Neurons of the hidden layers.
    """

    quantiles: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3 * len(_BLOCKS) * len(_QUANTILES), width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            zero_init(nn.Linear(width, 1)),
        )
        self.register_buffer("quantiles", torch.tensor(_QUANTILES), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the noise level / 255 of ``(B, 3, H, W)`` in ``[0, 1]``, ``(B, 1, 1, 1)``; larger ones know it better.

        Images smaller than 64 pixels are repeated to that size.
        """
        variations = self.variations(_large_enough(image.float()))
        return self.level(variations, self.layers(variations.flatten(1))).clamp_min(0)

    def level(self, variations: Tensor, corrections: Tensor) -> Tensor:
        """Return the level / 255, ``(B, 1, 1, 1)``, from half a gray level below 0, of what `layers` corrects by."""
        logarithm = variations[:, 0, _QUIET] + corrections.float()[:, 0]
        return (logarithm.exp() - _UNSEEN).div(255).view(-1, 1, 1, 1)

    def variations(self, image: Tensor) -> Tensor:
        """Return logarithms of gray levels, ``(B, sizes * planes, quantiles)``, the whole image's luma first."""
        planes, found = _luma_and_colours(image), []
        for block in _BLOCKS:
            energy = F.avg_pool2d(_second_differences(planes).square(), block)
            found.append(torch.quantile(energy.flatten(2).sqrt() * 255, self.quantiles.float(), dim=2))
            planes = F.avg_pool2d(planes, 2)
        return (torch.cat(found, dim=2) + 0.1).log().permute(1, 2, 0)


def _large_enough(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    times = math.ceil(_SMALLEST / height), math.ceil(_SMALLEST / width)
    return image if times == (1, 1) else image.repeat(1, 1, *times)


def _luma_and_colours(image: Tensor) -> Tensor:
    """Return luma, blue less luma and red less luma: in arithmetic that autocast leaves in fp32."""
    red, green, blue = image.unbind(dim=1)
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    return torch.stack([luma, blue - luma, red - luma], dim=1)


def _second_differences(planes: Tensor) -> Tensor:
    """Return the second differences along both axes, one after the other; white noise keeps its deviation."""
    down = planes[..., :-2, :] - 2 * planes[..., 1:-1, :] + planes[..., 2:, :]
    return (down[..., :-2] - 2 * down[..., 1:-1] + down[..., 2:]) / 6
