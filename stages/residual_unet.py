"""Residual U-Net: Zhang, Liu, Wang, "Road Extraction by Deep Residual U-Net", IEEE GRSL 2018.
https://arxiv.org/abs/1711.10684

    blocks(w) ------------------------ skip ------------------------ blocks(w) -> conv -> + image
       down  blocks(2w) ------------- skip ------------ blocks(2w)  up
                down   ...                          up
                          blocks(2^(levels - 1) w)

Changed for restoration: no batch norm, whose batch statistics shift colours (as in EDSR); a strided convolution
down, a transposed one up; the output is added to the image (global residual, starting from zero); dropout of whole
channels inside the blocks while training.
"""

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from stages.layers import conv3x3, unet_halo, zero_init
from stages.stage import LearnedStageConfig, Stage

_BLOCK_HALO = 2


class DropoutBlock(nn.Module):
    """Two convolutions with channel dropout in between, added to the input."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3x3(width, width), nn.ReLU(inplace=True), nn.Dropout2d(dropout), conv3x3(width, width)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``."""
        return features + self.body(features)


class ResidualUNet(Stage):
    """U-Net of residual blocks, predicting what to add to the image.

    Args:
        width: Channels of the finest level; every level below doubles them.
        levels: Resolutions, 4 in the paper.
        blocks: Residual blocks a level, both in the encoder and in the decoder.
        dropout: Share of the channels that each block leaves out while training.
    """

    def __init__(self, *, width: int, levels: int, blocks: int, dropout: float) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        steps = list(pairwise(widths))
        self.multiple_of = 2 ** (levels - 1)
        self.halo = 1 + unet_halo(levels, blocks * _BLOCK_HALO) + 1
        self.head = conv3x3(3, width)
        self.encoder = nn.ModuleList(_blocks(wide, blocks, dropout) for wide in widths)
        self.down = nn.ModuleList(nn.Conv2d(finer, coarser, kernel_size=2, stride=2) for finer, coarser in steps)
        self.up = nn.ModuleList(nn.ConvTranspose2d(c, f, kernel_size=2, stride=2) for f, c in reversed(steps))
        self.merge = nn.ModuleList(nn.Conv2d(2 * finer, finer, kernel_size=1) for finer, _ in reversed(steps))
        self.decoder = nn.ModuleList(_blocks(finer, blocks, dropout) for finer, _ in reversed(steps))
        self.tail = zero_init(conv3x3(width, 3))

    def forward(self, image: Tensor) -> Tensor:
        """Return the deblurred image, same shape."""
        features = self.encoder[0](self.head(image))
        skips: list[Tensor] = []
        for down, block in zip(self.down, self.encoder[1:], strict=True):
            skips.append(features)
            features = block(down(features))
        for up, merge, block in zip(self.up, self.merge, self.decoder, strict=True):
            features = block(merge(torch.cat([skips.pop(), up(features)], dim=1)))
        return image + self.tail(features)


def _blocks(width: int, count: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(*(DropoutBlock(width, dropout) for _ in range(count)))


class ResidualUNetConfig(LearnedStageConfig):
    """Options of ``stage: residual_unet``."""

    summary: ClassVar[str] = "deblur: U-Net of residual blocks"
    stage: Literal["residual_unet"] = "residual_unet"
    width: int = Field(32, ge=1, description="channels of the finest level, doubled by every level below")
    levels: int = Field(4, ge=1, description="resolutions")
    blocks: int = Field(1, ge=1, description="residual blocks a level, each way")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of channels left out while training")

    def build_network(self) -> ResidualUNet:
        """Build the network."""
        return ResidualUNet(**self.arguments())
