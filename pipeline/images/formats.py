"""What each format that is written can hold, and how it is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Format:
    """One format that is written.

    Args:
        name: For messages.
        saver: Name of the libvips operation.
        options: Arguments of the operation.
        bits: Bits per channel that it holds; 32 means floats too.
        longest: The longest side in pixels that its encoder takes.
        alpha: Whether it holds transparency.
        metadata: The blocks it holds besides the ICC profile, which all of them do.
    """

    name: str
    saver: str
    options: Mapping[str, Any]
    bits: int
    longest: int
    alpha: bool
    metadata: frozenset[str]


# 4:4:4, because half the colour resolution is just what a restored picture should not lose again. Huffman tables of
# its own would make a file 6 % smaller, but hold all coefficients: a picture of 96 megapixels took 1 GiB more for it,
# and 4.4 s instead of 0.6.
_JPEG = Format(
    "JPEG",
    "jpegsave",
    {"Q": 95, "subsample_mode": "off"},
    bits=8,
    longest=65_500,
    alpha=False,
    metadata=frozenset({"EXIF", "XMP", "IPTC"}),
)

# A photo of 1280x720 took 45 ms and 2.15 MB at level 1, 58 ms and 1.56 MB at 3, 103 ms and 1.54 MB at 6.
_PNG = Format(
    "PNG",
    "pngsave",
    {"compression": 3, "filter": "all"},
    bits=16,
    longest=2**31 - 1,
    alpha=True,
    metadata=frozenset({"EXIF", "XMP", "PNG text"}),
)

# WebP has 4:2:0 only; the sharp conversion keeps coloured edges. exact: colour under alpha 0 is kept.
_WEBP = Format(
    "WebP",
    "webpsave",
    {"Q": 95, "smart_subsample": True, "exact": True},
    bits=8,
    longest=16_383,
    alpha=True,
    metadata=frozenset({"EXIF", "XMP"}),
)

_TIFF = Format(
    "TIFF",
    "tiffsave",
    {"compression": "deflate"},
    bits=32,
    longest=2**31 - 1,
    alpha=True,
    metadata=frozenset({"EXIF", "XMP", "IPTC"}),
)

# Effort 2 made the same 0.30 MB of a 1280x720 photo in 0.6 s for which the default 4 took 6.3 s.
_AVIF = Format(
    "AVIF",
    "heifsave",
    {"compression": "av1", "Q": 90, "effort": 2, "subsample_mode": "off"},
    bits=12,
    longest=16_384,
    alpha=True,
    metadata=frozenset({"EXIF", "XMP"}),
)

FORMATS: Mapping[str, Format] = {
    ".avif": _AVIF,
    ".jfif": _JPEG,
    ".jpe": _JPEG,
    ".jpeg": _JPEG,
    ".jpg": _JPEG,
    ".png": _PNG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": _WEBP,
}
