"""Pieces that two or more stages share."""

import torch.nn.functional as F
from torch import Tensor, nn


def conv3x3(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Conv2d:
    """Build a 3x3 convolution that keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)


def zero_init(conv: nn.Conv2d) -> nn.Conv2d:
    """Zero a residual branch's last convolution, so that training starts from the identity."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


class ResidualBlock(nn.Module):
    """Two convolutions without normalisation, scaled and added to the input (Lim et al., EDSR, CVPRW 2017)."""

    def __init__(self, width: int, res_scale: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3x3(width, width), nn.ReLU(inplace=True), conv3x3(width, width))
        self.res_scale = res_scale

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``."""
        return features + self.body(features) * self.res_scale


def bicubic_upscale(image: Tensor, scale: int) -> Tensor:
    """Enlarge ``(B, C, H, W)`` by an integer factor with the field's bicubic kernel (Keys, a = -0.5).

    ``antialias`` is what selects a = -0.5 in torch (a = -0.75 without); when enlarging it smooths nothing.
    One output pixel depends on input pixels at most ``BICUBIC_HALO`` away.
    """
    if scale == 1:
        return image
    return F.interpolate(image, scale_factor=scale, mode="bicubic", antialias=True)


BICUBIC_HALO = 2


def finer_halo(halo: int, factor: int) -> int:
    """Express a dependency radius on a ``factor`` times coarser grid in pixels of the finer grid.

    A fine pixel sits anywhere inside its coarse cell, so the cell's own width counts once.
    """
    return factor * halo + factor - 1


def coarser_halo(halo: int, factor: int) -> int:
    """Express a dependency radius on a ``factor`` times finer grid in pixels of the coarser grid."""
    return -(-halo // factor)
