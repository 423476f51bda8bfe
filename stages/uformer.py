"""Uformer: Wang, Cun, Bao, Zhou, Liu, Li, "Uformer: A General U-Shaped Transformer for Image Restoration", CVPR 2022.
https://arxiv.org/abs/2106.03106

    image -> conv -> blocks -------------- cat ------------- blocks -> conv -> + image
                       down  blocks ------ cat ----- blocks  up
                               down   ...       up
                                  middle blocks

    block (LeWin):  x + attention(norm(x) + modulator), within windows;  then x + LeFF(norm(x))
    LeFF:           linear, GELU, 3x3 by channel, GELU, linear

Every second block shifts its windows by half their side. Pixels of a window that lie outside of the image are masked;
this equals the authors' rolling with masks, but without moving pixels to the opposite border. So windows lie on a
grid that depends only on the image's origin, and the halo is finite: 494 pixels for T and S, 1,066 for B. Unlike in
the authors' code, any image whose sides divide by ``multiple_of`` will do, not just squares.

Left out: stochastic depth, which only long training asks for. Changed for restoration: the last convolution starts
at zero, so that training starts from the identity.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from stages.layers import conv3x3, halo_of, zero_init
from stages.stage import LearnedStageConfig, Stage


class WindowAttention(nn.Module):
    """Multi-head self-attention among the pixels of a window, biased by their relative position."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.ModuleDict({"to_q": nn.Linear(width, width), "to_kv": nn.Linear(width, 2 * width)})
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", _relative_positions(window))

    def forward(self, windows: Tensor, outside: Tensor | None) -> Tensor:
        """Keep the shape ``(B, windows, pixels, width)``.

        Args:
            windows: The pixels of every window.
            outside: Pixels that are none of the image's and must not be seen, boolean ``(windows, pixels)``.
        """
        keys_values = self.qkv["to_kv"](windows).chunk(2, dim=-1)
        query, key, value = map(self._split_heads, (self.qkv["to_q"](windows), *keys_values))
        logits = query * query.shape[-1] ** -0.5 @ key.mT + self._bias()
        if outside is not None:
            logits = logits.masked_fill(outside[:, None, None, :], -torch.inf)
        return self.proj((logits.softmax(dim=-1) @ value).transpose(-2, -3).flatten(-2))

    def _split_heads(self, features: Tensor) -> Tensor:
        return features.unflatten(-1, (self.heads, -1)).transpose(-2, -3)

    def _bias(self) -> Tensor:
        """Return what each head adds to the logits, ``(heads, pixels, pixels)``."""
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)


class LeFF(nn.Module):
    """Locally-enhanced feed-forward network."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = 4 * width
        self.linear1 = nn.Sequential(nn.Linear(width, hidden), nn.GELU())
        self.dwconv = nn.Sequential(nn.Conv2d(hidden, hidden, kernel_size=3, padding=1, groups=hidden), nn.GELU())
        self.linear2 = nn.Sequential(nn.Linear(hidden, width))

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, H, W, width)``."""
        hidden = self.linear1(features).permute(0, 3, 1, 2)
        return self.linear2(self.dwconv(hidden).permute(0, 2, 3, 1))


class LeWinBlock(nn.Module):
    """Locally-enhanced window Transformer block.

    Args:
        width: Channels.
        heads: Attention heads.
        window: Side of the windows in pixels.
        shift: How far the windows' grid is moved, half a window or 0.
        modulator: Add a learned value to every place of the window.
    """

    def __init__(self, width: int, heads: int, window: int, *, shift: int, modulator: bool) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.modulator = nn.Embedding(window**2, width) if modulator else None
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = LeFF(width)

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``; H and W must be multiples of the window."""
        features = features.permute(0, 2, 3, 1)
        features = features + self._attend(self.norm1(features))
        features = features + self.mlp(self.norm2(features))
        return features.permute(0, 3, 1, 2)

    def _attend(self, features: Tensor) -> Tensor:
        """Exchange between the pixels of each window, ``(B, H, W, width)``."""
        height, width = (size + 2 * self.shift for size in features.shape[1:3])
        windows = split_windows(self._surround(features, 0), self.window)
        if self.modulator is not None:
            windows = windows + self.modulator.weight
        attended = join_windows(self.attn(windows, self._outside(features)), self.window, height, width)
        return attended[:, self.shift : height - self.shift, self.shift : width - self.shift]

    def _surround(self, features: Tensor, value: float) -> Tensor:
        return F.pad(features, (0, 0, *(self.shift,) * 4), value=value)

    def _outside(self, features: Tensor) -> Tensor | None:
        if self.shift == 0:
            return None
        inside = torch.zeros_like(features[:1, :, :, :1])
        return split_windows(self._surround(inside, 1), self.window)[0, :, :, 0].bool()


def split_windows(features: Tensor, window: int) -> Tensor:
    """Cut ``(B, H, W, C)`` into squares, ``(B, windows, window ** 2, C)``."""
    grid = features.unflatten(2, (-1, window)).unflatten(1, (-1, window)).transpose(2, 3)
    return grid.flatten(3, 4).flatten(1, 2)


def join_windows(windows: Tensor, window: int, height: int, width: int) -> Tensor:
    """Undo ``split_windows``: ``(B, H, W, C)``."""
    grid = windows.unflatten(1, (height // window, width // window)).unflatten(3, (window, window))
    return grid.transpose(2, 3).flatten(3, 4).flatten(1, 2)


class Uformer(Stage):
    """Encoder and decoder of window Transformer blocks, predicting what to add to the image.

    Module names equal the published ones, misspelling included, so their state_dicts load as they are.

    Args:
        width: Channels of the finest level and of every attention head; every level below doubles them.
        depths: Blocks of the encoder's levels, the middle, and the decoder's levels, in this order.
        window: Side of the attention's windows in pixels of each level, even.
        modulator: Decoder blocks add a learned value to every place of the window.
        middle_shift: Shift windows in the middle, too. The authors' code does so if built for crops of more than 128
            pixels: in training for GoPro, but not in its test, and not for SIDD.
    """

    def __init__(self, *, width: int, depths: list[int], window: int, modulator: bool, middle_shift: bool) -> None:
        super().__init__()
        self.levels = levels = len(depths) // 2
        self.multiple_of = window * 2**levels
        self.halo = halo_of(lambda pixel: _last_seen(pixel + 1, depths, window, middle_shift) + 1, self.multiple_of)
        heads = [2**level for level in range(levels + 1)] + [2 ** (level + 1) for level in reversed(range(levels))]
        widths = [width * count for count in heads]
        shifts = [window // 2] * levels + [window // 2 if middle_shift else 0] + [window // 2] * levels
        modulated = [False] * (levels + 1) + [modulator] * levels
        layers = [
            _named("blocks", *_blocks(depth, *layer))
            for depth, *layer in zip(depths, widths, heads, [window] * len(depths), shifts, modulated, strict=True)
        ]
        self.input_proj = _named("proj", conv3x3(3, width), nn.LeakyReLU(inplace=True))
        for level in range(levels):
            down = nn.Conv2d(widths[level], widths[level + 1], kernel_size=4, stride=2, padding=1)
            self.add_module(f"encoderlayer_{level}", layers[level])
            self.add_module(f"dowsample_{level}", _named("conv", down))
        self.conv = layers[levels]
        for step in range(levels):
            coarser, finer = widths[levels + step], widths[levels - 1 - step]
            up = nn.ConvTranspose2d(coarser, finer, kernel_size=2, stride=2)
            self.add_module(f"upsample_{step}", _named("deconv", up))
            self.add_module(f"decoderlayer_{step}", layers[levels + 1 + step])
        self.output_proj = _named("proj", zero_init(conv3x3(widths[-1], 3)))
        self.apply(_init)

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, same shape."""
        features = self.input_proj(image)
        skips: list[Tensor] = []
        for level in range(self.levels):
            skips.append(self.get_submodule(f"encoderlayer_{level}")(features))
            features = self.get_submodule(f"dowsample_{level}")(skips[-1])
        features = self.conv(features)
        for step in range(self.levels):
            finer = self.get_submodule(f"upsample_{step}")(features)
            features = self.get_submodule(f"decoderlayer_{step}")(torch.cat([finer, skips.pop()], dim=1))
        return image + self.output_proj(features)


def _blocks(depth: int, width: int, heads: int, window: int, shift: int, modulator: bool) -> list[LeWinBlock]:
    """Make the blocks of one level, every second one shifted."""
    return [
        LeWinBlock(width, heads, window, shift=shift if index % 2 else 0, modulator=modulator) for index in range(depth)
    ]


def _named(name: str, *modules: nn.Module) -> nn.Sequential:
    """Chain modules under a name, as the published state_dicts nest them."""
    return nn.Sequential(OrderedDict({name: nn.Sequential(*modules)}))


def _init(module: nn.Module) -> None:
    """Start as the authors do."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)


def _relative_positions(window: int) -> Tensor:
    """Return the row of the bias table for every two pixels of a window, ``(window ** 2, window ** 2)``."""
    side = torch.arange(window)
    rows, columns = (axis.flatten() for axis in torch.meshgrid(side, side, indexing="ij"))
    offsets = (axis[:, None] - axis + window - 1 for axis in (rows, columns))
    return next(offsets) * (2 * window - 1) + next(offsets)


def _last_seen(pixel: int, depths: list[int], window: int, middle_shift: bool) -> int:
    """Walk from a pixel behind the decoder back to the last pixel before the encoder that it depends on."""
    if len(depths) == 1:
        return _last_seen_by_blocks(pixel, depths[0], window, window // 2 if middle_shift else 0)
    pixel = _last_seen_by_blocks(pixel, depths[-1], window, window // 2)
    pixel = 2 * _last_seen(pixel // 2, depths[1:-1], window, middle_shift) + 2
    return _last_seen_by_blocks(pixel, depths[0], window, window // 2)


def _last_seen_by_blocks(pixel: int, depth: int, window: int, shift: int) -> int:
    """Walk back through a level's blocks: a convolution, then to the end of the pixel's window, in each."""
    for index in reversed(range(depth)):
        moved = shift if index % 2 else 0
        pixel = (pixel + 1 + moved) // window * window + window - 1 - moved
    return pixel


class UformerConfig(LearnedStageConfig):
    """Options of ``stage: uformer``; the defaults are the paper's Uformer-B.

    Uformer-S has depths of 2 throughout, and Uformer-T has a width of 16 besides.
    """

    summary: ClassVar[str] = "deblur, denoise: window attention"
    stage: Literal["uformer"] = "uformer"
    width: int = Field(32, ge=1, description="channels of the finest level, doubled by every level below")
    depths: list[int] = Field([1, 2, 8, 8, 2, 8, 8, 2, 1], description="blocks of every level, down and up again")
    window: int = Field(8, ge=2, multiple_of=2, description="side of the attention's windows in pixels of each level")
    modulator: bool = Field(True, description="decoder blocks add a learned value to every place of the window")
    middle_shift: bool = Field(True, description="shift windows in the middle; false for the authors' SIDD models")

    @field_validator("depths")
    @classmethod
    def _down_and_up(cls, depths: list[int]) -> list[int]:
        if len(depths) < 3 or len(depths) % 2 == 0 or min(depths) < 0:
            raise ValueError(
                f"got {depths}, expected an odd count of at least 3: blocks on the way down, in the middle, and on the "
                "way up"
            )
        return depths

    def build_network(self) -> Uformer:
        """Build the network."""
        return Uformer(**self.arguments())
