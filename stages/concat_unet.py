"""Concatenate U-Net: every decoder level sees the features of all four encoder levels. Nearest papers: Huang et al.,
"UNet 3+: A Full-Scale Connected UNet for Medical Image Segmentation", ICASSP 2020. https://arxiv.org/abs/2004.08790
and, for deblurring, the feature fusion of Cho et al., "Rethinking Coarse-to-Fine Approach in Single Image Deblurring"
(MIMO-UNet), ICCV 2021. https://arxiv.org/abs/2108.05054

    E1 E2 E3 E4, each pooled or repeated to the level's size --+
                                                               +- cat [-> 1x1 conv] [-> SE] -> block -> next level
    the coarser level, repeated to the level's size -----------+

The student project that it stems from states 4.32 M parameters and 7.757 GMACs, from an input of 224x224. Both are
what a plain bilinear U-Net of 32 to 256 channels with batch norm has (4,318,467 parameters; 7.678 G of the MACs are
convolutions): the layers that join were not counted. Here they are, and the default width is the one that gives
4.32 M with them.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from stages.layers import conv3x3, unet_halo, zero_init
from stages.stage import LearnedStageConfig, Stage

_LEVELS = 4
_BLOCK_HALO = 2
_SQUEEZE = 16


class SqueezeExcitation(nn.Module):
    """Weigh channels by their means over the image: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018.
    https://arxiv.org/abs/1709.01507
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        squeezed = max(1, width // _SQUEEZE)
        self.body = nn.Sequential(
            nn.Conv2d(width, squeezed, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(squeezed, width, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``."""
        return features * self.body(features.mean(dim=(2, 3), keepdim=True))


class ConcatUNet(Stage):
    """U-Net whose skips lead from every encoder level to every decoder level, predicting what to add to the image.

    Args:
        width: Channels of the finest level; every level below doubles them.
        squeeze_excitation: Weight the concatenated channels by their image means, as SE networks do.
        reduced_channels: Reduce the concatenated channels to the decoder level's width by a 1x1 convolution.
    """

    multiple_of = 2**_LEVELS

    def __init__(self, *, width: int, squeeze_excitation: bool, reduced_channels: bool) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(_LEVELS + 1)]
        self.halo = None if squeeze_excitation else unet_halo(_LEVELS + 1, _BLOCK_HALO)
        self.encoder = nn.ModuleList(_block(before, after) for before, after in zip([3, *widths], widths, strict=False))
        skipped = sum(widths[:_LEVELS])
        self.join = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for coarser, own in zip(reversed(widths), reversed(widths[:_LEVELS]), strict=False):
            joined = skipped + coarser
            seen = own if reduced_channels else joined
            reduce = nn.Conv2d(joined, own, kernel_size=1) if reduced_channels else nn.Identity()
            weigh = SqueezeExcitation(seen) if squeeze_excitation else nn.Identity()
            self.join.append(nn.Sequential(reduce, weigh))
            self.decoder.append(_block(seen, own))
        self.tail = zero_init(nn.Conv2d(width, 3, kernel_size=1))

    def forward(self, image: Tensor) -> Tensor:
        """Return the deblurred image, same shape."""
        features = image
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for skip, join, block in zip(reversed(skips), self.join, self.decoder, strict=True):
            every = [_resize(other, skip.shape[-2]) for other in (*skips, features)]
            features = block(join(torch.cat(every, dim=1)))
        return image + self.tail(features)


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        conv3x3(in_channels, out_channels),
        nn.ReLU(inplace=True),
        conv3x3(out_channels, out_channels),
        nn.ReLU(inplace=True),
    )


def _resize(features: Tensor, height: int) -> Tensor:
    """Bring features to a level of that height: pool finer ones, repeat the pixels of coarser ones."""
    if features.shape[-2] > height:
        return F.max_pool2d(features, features.shape[-2] // height)
    return F.interpolate(features, scale_factor=height // features.shape[-2], mode="nearest")


class ConcatUNetConfig(LearnedStageConfig):
    """Options of ``stage: concat_unet``."""

    summary: ClassVar[str] = "deblur: U-Net, full-scale skips"
    stage: Literal["concat_unet"] = "concat_unet"
    width: int = Field(22, ge=1, description="channels of the finest level, doubled by every level below")
    squeeze_excitation: bool = Field(
        False, description="squeeze and excitation: weight the concatenated channels by their image means"
    )
    reduced_channels: bool = Field(False, description="reduce the concatenated channels to the level's width first")

    def build_network(self) -> ConcatUNet:
        """Build the network."""
        return ConcatUNet(**self.arguments())
