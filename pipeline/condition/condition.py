"""The condition of an image: its noise, blur, JPEG quality and aliasing, measured on crops that stand for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.condition.aliasing import aliasing
from pipeline.condition.blur import blur_extents
from pipeline.condition.jpeg import UNCOMPRESSED, jpeg_quality, quality_of
from pipeline.condition.noise import PATCH, noise_levels
from pipeline.pixels import Pixels
from pipeline.tiling import Region, Span

_CROP, _CROPS_PER_SIDE = 96, 4
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601, as in JPEG


@dataclass(frozen=True)
class Condition:
    """What was measured of an image.

    Attributes:
        noise: Standard deviation in a channel, in 8-bit gray levels.
        colour_noise: The same of what differs between the channels.
        blur: Standard deviation in pixels along the direction of the widest blur.
        least_blur: The same along the direction of the narrowest.
        jpeg: Quality by libjpeg's scale; 100 where there are no traces of JPEG.
        aliasing: Power of the finest detail by that of medium detail, 0 to 1; 0.25 is usual, 0.65 aliased.
    """

    noise: float
    colour_noise: float
    blur: float
    least_blur: float
    jpeg: int
    aliasing: float

    @property
    def was_jpeg(self) -> bool:
        """Whether there are traces of JPEG."""
        return self.jpeg < UNCOMPRESSED

    def __str__(self) -> str:
        jpeg = f", JPEG {self.jpeg}" if self.was_jpeg else ""
        return f"noise {self.noise:.1f}, blur {self.blur:.1f} px{jpeg}"

    def rounded(self) -> dict[str, float]:
        """Return all measures by name, rounded for logs."""
        return {name: round(value, 2) for name, value in asdict(self).items()}


def sample(height: int, width: int) -> list[Region]:
    """Return the crops that stand for an image: at most 16, of one size, beginning at multiples of 8."""
    return [Region(rows, columns) for rows in _spans(height) for columns in _spans(width)]


def measure_crops(crops: Pixels, luma_table: Sequence[int] = ()) -> Condition:
    """Measure crops of an image.

    Args:
        crops: ``(N, H, W, 3)``, RGB in gray levels, 0 to 255, float32.
        luma_table: Of a JPEG file: the 64 steps by which its luma was quantised. The image may have been a worse JPEG
            before, of which its pixels have traces.
    """
    luma = crops @ _LUMA
    noise, colour_noise = noise_levels(crops)
    blur, least_blur = blur_extents(luma)
    return Condition(
        noise=noise,
        colour_noise=colour_noise,
        blur=blur,
        least_blur=least_blur,
        jpeg=min(jpeg_quality(luma), quality_of(luma_table) if luma_table else UNCOMPRESSED),
        aliasing=aliasing(luma, noise),
    )


def _spans(length: int) -> list[Span]:
    """Spread crops evenly."""
    side = min(length, _CROP)
    count = max(1, min(_CROPS_PER_SIDE, length // side))
    starts = [(length - side) * (2 * number + 1) // (2 * count) // PATCH * PATCH for number in range(count)]
    return [Span(start, start + side) for start in starts]
