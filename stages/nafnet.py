"""NAFNet: Chen, Chu, Zhang, Sun, "Simple Baselines for Image Restoration", ECCV 2022.
https://arxiv.org/abs/2204.04676

    image -> conv -> blocks -------------- + -------------- blocks -> conv -> + image
                       down  blocks ------ + ------ blocks  up
                               down   ...      up
                                  middle blocks

    block:  x + beta * [norm, 1x1, 3x3 by channel, gate, channel attention, 1x1],
            then x + gamma * [norm, 1x1, gate, 1x1];  the gate multiplies one half of the channels by the other

The channel attention sees the mean of the whole image; while training, of a crop. With ``local_size`` it sees the
mean of a window around each pixel, by the same weights: TLC, Chu, Chen, Chen, Lu, "Improving Image Restoration by
Revisiting Global Information Aggregation", ECCV 2022, https://arxiv.org/abs/2112.04491. Only then is the halo
finite; but every block adds half a window to it, so that it stays below a photo's size in small networks only.

Changed for restoration: the last convolution starts at zero, so that training starts from the identity.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from stages.layers import conv3x3, halo_of, zero_init
from stages.stage import LearnedStageConfig, Stage


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of every pixel."""

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, C, H, W)``."""
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SimpleGate(nn.Module):
    """One half of the channels times the other."""

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(B, 2C, H, W)`` to ``(B, C, H, W)``."""
        first, second = features.chunk(2, dim=1)
        return first * second


class LocalMean(nn.Module):
    """Mean of the square window around each pixel; at the border, of the outermost window that fits (TLC).

    Where the image is no larger than the window, that is the mean of the image, returned as ``(B, C, 1, 1)``.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the mean for every pixel."""
        if self.window >= max(features.shape[-2:]):
            return features.mean(dim=(-2, -1), keepdim=True)
        height, width = (min(self.window, size) for size in features.shape[-2:])
        exact = features.to(torch.promote_types(features.dtype, torch.float32))
        rows = window_sums(exact, height, dim=-2) / height
        means = window_sums(rows, width, dim=-1) / width
        border = ((width - 1) // 2, width // 2, (height - 1) // 2, height // 2)
        return F.pad(means, border, mode="replicate").to(features.dtype)


def window_sums(values: Tensor, window: int, dim: int) -> Tensor:
    """Sum every run of ``window`` neighbours along ``dim``, which gets ``window - 1`` shorter.

    Sums of 1, 2, 4, ... neighbours are made of each other, and of these the window. Unlike differences of a running
    total, the result depends on nothing outside of the window, down to the last bit.
    """
    count = values.shape[dim] - window + 1
    total: Tensor | None = None
    length, start = 1, 0
    while True:
        if window & length:
            part = values.narrow(dim, start, count)
            total = part if total is None else total + part
            start += length
        if start == window:
            return part if total is None else total
        shorter = values.shape[dim] - length
        values = values.narrow(dim, 0, shorter) + values.narrow(dim, length, shorter)
        length *= 2


class NAFBlock(nn.Module):
    """Nonlinear-activation-free block: a spatial half and a half that mixes channels, each added to its input."""

    def __init__(self, width: int, window: int | None) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(width, eps=1e-6)
        self.conv1 = nn.Conv2d(width, 2 * width, kernel_size=1)
        self.conv2 = nn.Conv2d(2 * width, 2 * width, kernel_size=3, padding=1, groups=2 * width)
        mean = nn.AdaptiveAvgPool2d(1) if window is None else LocalMean(window)
        self.sca = nn.Sequential(mean, nn.Conv2d(width, width, kernel_size=1))
        self.conv3 = nn.Conv2d(width, width, kernel_size=1)
        self.beta = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.norm2 = LayerNorm2d(width, eps=1e-6)
        self.conv4 = nn.Conv2d(width, 2 * width, kernel_size=1)
        self.conv5 = nn.Conv2d(width, width, kernel_size=1)
        self.gamma = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.gate = SimpleGate()

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``."""
        gated = self.gate(self.conv2(self.conv1(self.norm1(features))))
        features = features + self.beta * self.conv3(gated * self.sca(gated))
        return features + self.gamma * self.conv5(self.gate(self.conv4(self.norm2(features))))


class NAFNet(Stage):
    """Encoder and decoder of blocks without activation functions, predicting what to add to the image.

    Module names equal the published ones, so their state_dicts load as they are.

    Args:
        width: Channels of the finest level; every level below doubles them.
        encoder_blocks: Blocks of each level on the way down, finest first.
        middle_blocks: Blocks of the coarsest level.
        decoder_blocks: Blocks of each level on the way up, coarsest first.
        local_size: Side in pixels of the window that the channel attention sees, a multiple of ``multiple_of``; the
            authors take 1.5 times the crops of training. None for the whole image.
        halo: In the place of the exact one, which is larger than most images.
    """

    def __init__(
        self,
        *,
        width: int,
        encoder_blocks: list[int],
        middle_blocks: int,
        decoder_blocks: list[int],
        local_size: int | None,
        halo: int | None,
    ) -> None:
        super().__init__()
        levels = len(encoder_blocks)
        widths = [width * 2**level for level in range(levels)]
        windows = [None if local_size is None else local_size // 2**level for level in range(levels + 1)]
        self.multiple_of = 2**levels
        exact = None if local_size is None else _halo(encoder_blocks, middle_blocks, decoder_blocks, local_size)
        self.halo = exact if halo is None else halo
        self.intro = conv3x3(3, width)
        self.encoders = nn.ModuleList(map(_blocks, encoder_blocks, widths, windows))
        self.downs = nn.ModuleList(nn.Conv2d(finer, 2 * finer, kernel_size=2, stride=2) for finer in widths)
        self.middle_blks = _blocks(middle_blocks, width * 2**levels, windows[-1])
        self.ups = nn.ModuleList(map(_up, reversed(widths)))
        self.decoders = nn.ModuleList(map(_blocks, decoder_blocks, reversed(widths), reversed(windows[:-1])))
        self.ending = zero_init(conv3x3(width, 3))

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, same shape."""
        features = self.intro(image)
        skips: list[Tensor] = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(features))
            features = down(skips[-1])
        features = self.middle_blks(features)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            features = decoder(up(features) + skips.pop())
        return image + self.ending(features)


def _blocks(count: int, width: int, window: int | None) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(width, window) for _ in range(count)))


def _up(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2 * width, 4 * width, kernel_size=1, bias=False), nn.PixelShuffle(2))


def _halo(encoder: list[int], middle: int, decoder: list[int], window: int) -> int:
    """Radius with local means, largest for the first pixels: their windows begin with the image."""
    return halo_of(lambda pixel: _last_seen(pixel + 1, encoder, middle, decoder, window) + 1, 2 ** len(encoder))


def _last_seen(pixel: int, encoder: list[int], middle: int, decoder: list[int], window: int) -> int:
    """Walk from a pixel behind the decoder back to the last pixel before the encoder that it depends on."""
    if not encoder:
        return _last_seen_by_blocks(pixel, middle, window)
    pixel = _last_seen_by_blocks(pixel, decoder[-1], window)
    pixel = 2 * _last_seen(pixel // 2, encoder[1:], middle, decoder[:-1], window // 2) + 1
    return _last_seen_by_blocks(pixel, encoder[0], window)


def _last_seen_by_blocks(pixel: int, count: int, window: int) -> int:
    for _ in range(count):
        pixel = max(window - 1, pixel + window // 2) + 1
    return pixel


class NAFNetConfig(LearnedStageConfig):
    """Options of ``stage: nafnet``; the defaults are the paper's network of 32 channels for GoPro."""

    summary: ClassVar[str] = "deblur, denoise: gated blocks"
    run_options: ClassVar[frozenset[str]] = frozenset({"local_size", "halo"})
    later_options: ClassVar[dict[str, Any]] = {**LearnedStageConfig.later_options, "halo": None}

    stage: Literal["nafnet"] = "nafnet"
    width: int = Field(32, ge=1, description="channels of the finest level, doubled by every level below")
    encoder_blocks: list[int] = Field([1, 1, 1, 28], description="blocks of each level on the way down")
    middle_blocks: int = Field(1, ge=0, description="blocks of the coarsest level")
    decoder_blocks: list[int] = Field([1, 1, 1, 1], description="blocks of each level on the way up")
    local_size: int | None = Field(
        None, ge=1, description="side in pixels of what the channel attention sees; the whole image if null"
    )
    halo: int | None = Field(
        None,
        ge=0,
        description="pixels that tiles overlap by, against the memory of a whole image; without it tiles are seam-free",
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> NAFNetConfig:
        levels = len(self.encoder_blocks)
        if len(self.decoder_blocks) != levels:
            raise ValueError(
                f"encoder_blocks and decoder_blocks: got {levels} and {len(self.decoder_blocks)} levels, expected "
                "the same number"
            )
        if self.local_size is not None and self.local_size % 2**levels:
            raise ValueError(
                f"local_size: got {self.local_size}, expected a multiple of {2**levels} for {levels} levels"
            )
        return self

    def build_network(self) -> NAFNet:
        """Build the network."""
        return NAFNet(**self.arguments())
