"""U-Net: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.
https://arxiv.org/abs/1505.04597

    block(w) ------------------------ skip ------------------------- block(w) -> 1x1 conv -> + image
       pool  block(2w) ------------- skip ------------- block(2w)  up
                pool   ...                          up
                          block(2^(levels - 1) w)

Changed for restoration: convolutions keep the size, the output is added to the image (global residual, starting
from zero), and each block may add its input (``residual``), which is what lets a short training get anywhere.

With a ``coarse_width`` two of them run side by side, and a few convolutions weight what each would add:

    image -- U-Net at 1/n: mild blur, fine detail ---- x share --+-- + image
          -- U-Net at 1/2n: long blur, wide context -- x share --
"""

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from stages.layers import conv3x3, finer_halo, unet_halo, zero_init
from stages.stage import LearnedStageConfig, Stage

_BLOCK_HALO = 2
_SHARE_WIDTH, _SHARE_LAYERS = 32, 4


class Block(nn.Module):
    """Two convolutions with ReLU; with ``residual``, plus the input (projected where the width changes)."""

    def __init__(self, in_channels: int, out_channels: int, *, residual: bool) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.project: nn.Module | None = None
        if residual:
            same = in_channels == out_channels
            self.project = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` to ``(B, out_channels, H, W)``."""
        result = self.conv2(F.relu(self.conv1(features)))
        if self.project is None:
            return F.relu(result)
        return result + self.project(features)


class UNet(Stage):
    """Encoder and decoder joined by skips, predicting what to add to the image.

    Args:
        width: Channels of the finest level; every level below doubles them.
        levels: Resolutions, 5 in the paper.
        unshuffle: Pixel-unshuffle factor at the input; 1 is the paper's network.
        residual: Blocks add their input.
    """

    def __init__(self, *, width: int, levels: int, unshuffle: int, residual: bool) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        planes = 3 * unshuffle**2
        self.unshuffle = unshuffle
        self.multiple_of = unshuffle * 2 ** (levels - 1)
        self.halo = finer_halo(unet_halo(levels, _BLOCK_HALO), unshuffle)
        self.encoder = nn.ModuleList(
            Block(before, after, residual=residual) for before, after in zip([planes, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * finer, finer, kernel_size=2, stride=2) for finer in reversed(widths[:-1])
        )
        self.decoder = nn.ModuleList(Block(2 * finer, finer, residual=residual) for finer in reversed(widths[:-1]))
        self.joined = frozenset(
            f"decoder.{level}.{layer}" for level in range(levels - 1) for layer in ("conv1", "project")
        )
        self.tail = zero_init(nn.Conv2d(width, planes, kernel_size=1))

    def forward(self, image: Tensor) -> Tensor:
        """Return the deblurred image, same shape."""
        features = F.pixel_unshuffle(image, self.unshuffle)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            features = block(torch.cat([skips.pop(), up(features)], dim=1))
        return image + F.pixel_shuffle(self.tail(features), self.unshuffle)


class TwoScaleUNet(Stage):
    """A U-Net for mild blur beside a coarser one for long blur, each weighted place by place.

    Args:
        coarse_width: Channels of the coarser network's finest level.
        width: Channels of the finer network's finest level.
        levels: Resolutions of both.
        unshuffle: Pixel-unshuffle factor of the finer network; the coarser one works at half its size.
        residual: Blocks add their input.
    """

    def __init__(self, *, coarse_width: int, width: int, levels: int, unshuffle: int, residual: bool) -> None:
        super().__init__()
        self.cell = 2 * unshuffle
        self.fine = UNet(width=width, levels=levels, unshuffle=unshuffle, residual=residual)
        self.coarse = UNet(width=coarse_width, levels=levels, unshuffle=self.cell, residual=residual)
        self.multiple_of = self.coarse.multiple_of
        self.halo = finer_halo(unet_halo(levels, _BLOCK_HALO) + _SHARE_LAYERS, self.cell)
        self.joined = frozenset(f"{name}.{layer}" for name in ("fine", "coarse") for layer in self.fine.joined)
        self.shares = nn.Sequential(conv3x3(9 * self.cell**2, _SHARE_WIDTH), nn.ReLU())
        for _ in range(_SHARE_LAYERS - 2):
            self.shares.extend([conv3x3(_SHARE_WIDTH, _SHARE_WIDTH), nn.ReLU()])
        self.shares.append(zero_init(conv3x3(_SHARE_WIDTH, 2 * self.cell**2)))

    def forward(self, image: Tensor) -> Tensor:
        """Return the deblurred image, same shape."""
        fine, coarse = self.fine(image) - image, self.coarse(image) - image
        seen = F.pixel_unshuffle(torch.cat([image, fine, coarse], dim=1), self.cell)
        shares = F.pixel_shuffle(self.shares(seen), self.cell).sigmoid()
        return image + shares[:, :1] * fine + shares[:, 1:] * coarse


class UNetConfig(LearnedStageConfig):
    """Options of ``stage: unet``."""

    summary: ClassVar[str] = "deblur: encoder, decoder, skips"
    later_options: ClassVar[dict[str, Any]] = {**LearnedStageConfig.later_options, "coarse_width": 0}

    stage: Literal["unet"] = "unet"
    width: int = Field(32, ge=1, description="channels of the finest level, doubled by every level below")
    levels: int = Field(5, ge=1, description="resolutions")
    unshuffle: Literal[1, 2, 4] = Field(1, description="work at 1/n of the size, on n x n planes")
    residual: bool = Field(False, description="blocks add their input")
    coarse_width: int = Field(0, ge=0, description="channels of a second one at half the size, for long blur; 0: none")

    def build_network(self) -> Stage:
        """Build the network, or the two."""
        arguments = self.arguments()
        coarse_width = arguments.pop("coarse_width")
        return TwoScaleUNet(coarse_width=coarse_width, **arguments) if coarse_width else UNet(**arguments)
