r"""Decoded YUV planes <-> RGB in ``[0, 1]``: batched, on any device, reversible without loss.

    Y         -----------------------------------> | matrix | -> R G B -> clamp -> image
    Cb, Cr -> 4:2:0, 4:2:2 interpolated to 4:4:4 -> |        |                \
                                                                              values outside of [0, 1]: excess

YUV has colours outside of RGB: below black, above white, and most of the corners of the YUV cube. They are returned as
``excess``, which bypasses the chain and is added to its result, so that nothing is clipped.

The chroma location is the default of MPEG-2, H.264 and HEVC (left): on even columns, between two rows. It is
interpolated and reduced by two pairs of wavelet filters whose reduction undoes the interpolation exactly: along
rows LeGall 5/3 (linear interpolation), along columns CDF 2/6 (quadratic, and its reduction is the plain mean).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

# Weights of red and blue in Y, by libav's number of the matrix (ISO/IEC 23091-2, MatrixCoefficients).
MATRICES = {
    1: ("BT.709", 0.2126, 0.0722),
    4: ("FCC", 0.30, 0.11),
    5: ("BT.601", 0.299, 0.114),
    6: ("BT.601", 0.299, 0.114),
    7: ("SMPTE 240M", 0.212, 0.087),
    9: ("BT.2020", 0.2627, 0.0593),
}


class Planes(NamedTuple):
    """Y ``(B, H, W)``, Cb and Cr of the same or half the width and height, rounded up; integers."""

    luma: Tensor
    blue: Tensor
    red: Tensor


@dataclass(frozen=True)
class YUV:
    """Format of YUV planes.

    Attributes:
        depth: Bits of a sample.
        matrix: A key of ``MATRICES``.
        full_range: Black is 0 and white the largest number; otherwise 16 and 235 (in 8 bit).
        halved: Whether chroma has half the height, and half the width: ``(True, True)`` is 4:2:0.
    """

    depth: int
    matrix: int
    full_range: bool
    halved: tuple[bool, bool]

    def to_rgb(self, planes: Planes) -> tuple[Tensor, Tensor]:
        """Return ``(B, 3, H, W)`` in ``[0, 1]``, and the excess: true values minus these, mostly zero."""
        _, red_weight, blue_weight = MATRICES[self.matrix]
        green_weight = 1 - red_weight - blue_weight
        black, luma_steps, neutral, chroma_steps = self._levels
        luma = _numbers(planes.luma).sub_(black).div_(luma_steps)
        chroma = _numbers(torch.stack((planes.blue, planes.red))).sub_(neutral).div_(chroma_steps)
        blue, red = self._interpolated(chroma, luma)
        image = torch.empty(len(luma), 3, *luma.shape[1:], device=luma.device)
        torch.add(luma, red, alpha=2 * (1 - red_weight), out=image[:, 0])
        torch.add(luma, blue, alpha=2 * (1 - blue_weight), out=image[:, 2])
        green = torch.add(luma, red, alpha=-2 * (1 - red_weight) * red_weight / green_weight, out=image[:, 1])
        green.add_(blue, alpha=-2 * (1 - blue_weight) * blue_weight / green_weight)
        clamped = image.clamp(0, 1)
        return clamped, image.sub_(clamped)

    def from_rgb(self, image: Tensor) -> Planes:
        """Return planes of ``(B, 3, H, W)``, which may exceed ``[0, 1]``; rounded to the nearest integers."""
        _, red_weight, blue_weight = MATRICES[self.matrix]
        black, luma_steps, neutral, chroma_steps = self._levels
        red, green, blue = image.unbind(1)
        luma = (green * (1 - red_weight - blue_weight)).add_(red, alpha=red_weight).add_(blue, alpha=blue_weight)
        # Rows first, because columns then cost half.
        gray = self._reduced_rows(luma)
        chroma = [
            self._reduced_columns(self._reduced_rows(colour) - gray).mul_(chroma_steps / (2 * (1 - weight)))
            for colour, weight in ((blue, blue_weight), (red, red_weight))
        ]
        luma = self._rounded(luma.mul_(luma_steps), black)
        return Planes(luma, *(self._rounded(plane, neutral) for plane in chroma))

    @property
    def _levels(self) -> tuple[int, int, int, int]:
        """Return black, the steps from there to white, neutral chroma, and the steps of its whole range."""
        unit = 1 << (self.depth - 8)
        if self.full_range:
            return 0, 256 * unit - 1, 128 * unit, 256 * unit - 1
        return 16 * unit, 219 * unit, 128 * unit, 224 * unit

    def _interpolated(self, chroma: Tensor, luma: Tensor) -> Tensor:
        halved_height, halved_width = self.halved
        height, width = luma.shape[1:]
        if halved_height:
            chroma = _interpolate_rows(chroma)[..., :height, :]
        if halved_width:
            chroma = _interpolate_columns(chroma)[..., :width]
        return chroma

    def _reduced_rows(self, colour: Tensor) -> Tensor:
        return _reduce_rows(colour) if self.halved[0] else colour

    def _reduced_columns(self, chroma: Tensor) -> Tensor:
        return _reduce_columns(chroma) if self.halved[1] else chroma

    def _rounded(self, plane: Tensor, zero: int) -> Tensor:
        """Return the nearest integers: a half is added and the fraction truncated, then the range is clamped."""
        integers = plane.add_(zero + 0.5).to(torch.int16 if self.depth <= 12 else torch.int32)
        integers.clamp_(0, (1 << self.depth) - 1)
        # Via int16: on a CPU five times as fast as directly from float.
        return integers.to(torch.uint8) if self.depth == 8 else integers


def _numbers(plane: Tensor) -> Tensor:
    """Convert integers to floats; 16-bit planes are stored as int16, whose sign bit is the highest bit."""
    return (plane.int() & 0xFFFF).float() if plane.dtype == torch.int16 else plane.float()


def _interpolate_rows(chroma: Tensor) -> Tensor:
    """Make two rows of each, with that row as their mean; constant at the borders."""
    slope = torch.zeros_like(chroma)
    torch.sub(chroma[..., 2:, :], chroma[..., :-2, :], out=slope[..., 1:-1, :])
    upper, lower = torch.sub(chroma, slope, alpha=0.125), torch.add(chroma, slope, alpha=0.125)
    return torch.stack((upper, lower), dim=-2).flatten(-3, -2)


def _reduce_rows(colour: Tensor) -> Tensor:
    """Return the means of two rows; the last of an odd number is copied."""
    upper, lower = colour[..., 0::2, :], colour[..., 1::2, :]
    if lower.shape[-2] < upper.shape[-2]:
        lower = torch.cat((lower, upper[..., -1:, :]), dim=-2)
    return torch.lerp(upper, lower, 0.5)


def _interpolate_columns(chroma: Tensor) -> Tensor:
    """Insert the mean between two columns; the last column is repeated."""
    # Pairs as complex numbers: on a CPU three times as fast as stacking them.
    return torch.view_as_real(torch.complex(chroma, _means_of_neighbours(chroma))).flatten(-2)


def _reduce_columns(chroma: Tensor) -> Tensor:
    """Keep the even columns, with a quarter of what their two neighbours are not as interpolated (lifting)."""
    even, odd = chroma[..., 0::2], chroma[..., 1::2]
    if odd.shape[-1] < even.shape[-1]:
        odd = torch.cat((odd, even[..., -1:]), dim=-1)
    detail = odd - _means_of_neighbours(even)
    reduced = torch.add(even, detail, alpha=0.25)
    reduced[..., 1:].add_(detail[..., :-1], alpha=0.25)
    return reduced


def _means_of_neighbours(columns: Tensor) -> Tensor:
    """Return the mean of each column and the next; the last column is copied."""
    means = torch.empty_like(columns, memory_format=torch.contiguous_format)
    torch.lerp(columns[..., :-1], columns[..., 1:], 0.5, out=means[..., :-1])
    means[..., -1] = columns[..., -1]
    return means
