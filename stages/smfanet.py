"""SMFANet: Zheng, Sun, Dong, Pan, "SMFANet: A Lightweight Self-Modulation Feature Aggregation Network for Efficient
Image Super-Resolution", ECCV 2024.
https://github.com/Zheng-MJ/SMFANet

    image -> conv -> depth x [x + SMFA(normalized x), x + PCFN(normalized x)] -> + -> conv, pixel shuffle
                |________________________________________________________________|

    SMFA, aggregation:  1x1 -> halves x, y
                        x * upscaled GELU(1x1(alpha * 3x3 by channel(max of 8x8 cells of x) + belt * variance of x))
                        + local detail of y, then 1x1
    PCFN, mixing:       1x1, GELU, 3x3 on a quarter of the channels, GELU, 1x1

The variance is that of the whole image, while training of a crop, and the cells are an eighth of the image's size, so
that the halo is the whole image. The names of the tensors are those of the published weights, ``belt`` included.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from stages.layers import conv3x3
from stages.stage import LearnedStageConfig, Stage

_CELL = 8


class LocalDetail(nn.Module):
    """The branch for local detail: 3x3 by channel into twice the channels, mixed, GELU, and back (DMlp)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = 2 * width
        by_channel = nn.Conv2d(width, hidden, kernel_size=3, padding=1, groups=width)
        self.conv_0 = nn.Sequential(by_channel, nn.Conv2d(hidden, hidden, kernel_size=1))
        self.conv_1 = nn.Conv2d(hidden, width, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``."""
        detail: Tensor = self.conv_1(F.gelu(self.conv_0(features)))
        return detail


class SelfModulation(nn.Module):
    """Self-modulation feature aggregation: non-local features from coarse maxima and the variance, and local detail."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_0 = nn.Conv2d(width, 2 * width, kernel_size=1)
        self.linear_1 = nn.Conv2d(width, width, kernel_size=1)
        self.linear_2 = nn.Conv2d(width, width, kernel_size=1)
        self.lde = LocalDetail(width)
        self.dw_conv = nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width)
        self.alpha = nn.Parameter(torch.ones(1, width, 1, 1))
        self.belt = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``."""
        local, broad = self.linear_0(features).chunk(2, dim=1)
        mixed: Tensor = self.linear_2(broad * self._modulation(broad) + self.lde(local))
        return mixed

    def _modulation(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        cells = F.adaptive_max_pool2d(features, (max(1, height // _CELL), max(1, width // _CELL)))
        # As in the published network, one pixel less counts; but of a single pixel that would be 0 / 0.
        variance = features.var(dim=(-2, -1), keepdim=True, correction=min(1, height * width - 1))
        coarse = F.gelu(self.linear_1(self.dw_conv(cells) * self.alpha + variance * self.belt))
        return F.interpolate(coarse, size=(height, width), mode="nearest")


class PartialConvFeedForward(nn.Module):
    """Feed-forward network whose 3x3 convolution sees a quarter of the hidden channels (PCFN)."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        hidden = width * expansion
        self.parts = [hidden // 4, hidden - hidden // 4]
        self.conv_0 = nn.Conv2d(width, hidden, kernel_size=1)
        self.conv_1 = conv3x3(self.parts[0], self.parts[0])
        self.conv_2 = nn.Conv2d(hidden, width, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``."""
        seen, passed = F.gelu(self.conv_0(features)).split(self.parts, dim=1)
        mixed: Tensor = self.conv_2(torch.cat([F.gelu(self.conv_1(seen)), passed], dim=1))
        return mixed


class FeatureModulationBlock(nn.Module):
    """Aggregation, then mixing; each sees features of length 1 at every pixel and is added to its input (FMB)."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.smfa = SelfModulation(width)
        self.pcfn = PartialConvFeedForward(width, expansion)

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``."""
        features = features + self.smfa(F.normalize(features))
        mixed: Tensor = features + self.pcfn(F.normalize(features))
        return mixed


class SMFANet(Stage):
    """Super-resolution by self-modulated features at the small size.

    Args:
        scale: Output pixels per input pixel and axis: 2, 3 or 4.
        width: Channels; 48 in SMFANet+, 36 in SMFANet.
        depth: Blocks; 12 in SMFANet+, 8 in SMFANet.
        expansion: Channels between a block's feed-forward convolutions, as a multiple of the width.
    """

    halo = None

    def __init__(self, *, scale: int, width: int, depth: int, expansion: int) -> None:
        super().__init__()
        self.scale = scale
        self.to_feat = conv3x3(3, width)
        self.feats = nn.Sequential(*(FeatureModulationBlock(width, expansion) for _ in range(depth)))
        self.to_img = nn.Sequential(conv3x3(width, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, image: Tensor) -> Tensor:
        """Return the upscaled image, ``(B, 3, scale * H, scale * W)``."""
        shallow = self.to_feat(image)
        upscaled: Tensor = self.to_img(shallow + self.feats(shallow))
        return upscaled


class SMFANetConfig(LearnedStageConfig):
    """Options of ``stage: smfanet``."""

    summary: ClassVar[str] = "upscale: self-modulated features"
    stage: Literal["smfanet"] = "smfanet"
    scale: Literal[2, 3, 4] = Field(2, description="output pixels per input pixel and axis")
    width: int = Field(48, ge=2, description="channels")
    depth: int = Field(12, ge=1, description="blocks")
    expansion: int = Field(2, ge=2, description="channels inside a block's feed-forward part, as a multiple of width")

    def build_network(self) -> SMFANet:
        """Build the network."""
        return SMFANet(**self.arguments())
