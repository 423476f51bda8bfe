"""The one table of image formats: how each is recognised, read and written.

A new format is one more line of ``FORMATS``; the lists of suffixes and all messages that name them follow from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Encoder:
    """How libvips writes a format, and what the format can hold.

    Args:
        name: Name of the format, for messages.
        saver: Name of the libvips operation.
        options: Arguments of the operation.
        bits: Bits per channel; 32 means floats too.
        longest: The longest side in pixels.
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


@dataclass(frozen=True)
class Format:
    """One image format.

    Args:
        name: For messages.
        signature: Regular expression that matches the first bytes of a file.
        suffixes: Suffixes of files that are read, and written if there is an encoder.
        read_only: Further suffixes of files that are read only.
        loader: Name of the libvips operation that reads it; None if OpenCV does.
        refusal: Why such files are not read; None if they are.
        encoder: None for a format that is not written.
    """

    name: str
    signature: bytes
    suffixes: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    loader: str | None = None
    refusal: str | None = None
    encoder: Encoder | None = None


# 4:4:4, because half the colour resolution is just what a restored image should not lose again. Huffman tables of
# its own would make a file 6 % smaller, but hold all coefficients: an image of 96 megapixels took 1 GiB more for it,
# and 4.4 s instead of 0.6.
_JPEG = Encoder(
    "JPEG",
    "jpegsave",
    {"Q": 95, "subsample_mode": "off"},
    bits=8,
    longest=65_500,
    alpha=False,
    metadata=frozenset({"EXIF", "XMP", "IPTC", "comment"}),
)

# A photo of 1280x720 took 45 ms and 2.15 MB at level 1, 58 ms and 1.56 MB at 3, 103 ms and 1.54 MB at 6.
_PNG = Encoder(
    "PNG",
    "pngsave",
    {"compression": 3, "filter": "all"},
    bits=16,
    longest=2**31 - 1,
    alpha=True,
    metadata=frozenset({"EXIF", "XMP", "PNG text"}),
)

# Q is the search's length here: the default of 4 with Q 95 takes 4.5 times as long for files that are 0.6 % smaller.
LOSSLESS_WEBP: Mapping[str, Any] = {"lossless": True, "effort": 2, "Q": 20}
# WebP has 4:2:0 only; the sharp conversion keeps coloured edges. exact: colour under alpha 0 is kept.
_WEBP = Encoder(
    "WebP",
    "webpsave",
    {"Q": 95, "smart_subsample": True, "exact": True},
    bits=8,
    longest=16_383,
    alpha=True,
    metadata=frozenset({"EXIF", "XMP"}),
)

_TIFF = Encoder(
    "TIFF",
    "tiffsave",
    {"compression": "deflate"},
    bits=32,
    longest=2**31 - 1,
    alpha=True,
    metadata=frozenset({"EXIF", "XMP", "IPTC"}),
)

# Effort 2 made the same 0.30 MB of a 1280x720 photo in 0.6 s for which the default 4 took 6.3 s.
_AVIF = Encoder(
    "AVIF",
    "heifsave",
    {"compression": "av1", "Q": 90, "effort": 2, "subsample_mode": "off"},
    bits=12,
    longest=16_384,
    alpha=True,
    metadata=frozenset({"EXIF", "XMP"}),
)

# The first whose signature matches is taken. HEIC and icons have suffixes so that such files are refused with the
# reason instead of being passed over.
FORMATS = (
    # libvips itself would pick another loader for a JPEG with a gain map.
    Format("JPEG", rb"\xff\xd8\xff", (".jfif", ".jpe", ".jpeg", ".jpg"), (".mpo",), "jpegload", encoder=_JPEG),
    Format(
        "PNG of Xcode",
        rb"\x89PNG\r\n\x1a\n....CgBI",
        refusal="is a PNG for iPhones (CgBI), for which no decoder is included; "
        "convert it by `pngcrush -revert-iphone-optimizations` first",
    ),
    Format("PNG", rb"\x89PNG\r\n\x1a\n", (".png",), (".apng",), "pngload", encoder=_PNG),
    Format("GIF", rb"GIF8[79]a", (".gif",), loader="gifload"),
    Format("WebP", rb"RIFF....WEBP", (".webp",), loader="webpload", encoder=_WEBP),
    Format("TIFF", rb"II[*+]\0|MM\0[*+]", (".tif", ".tiff"), loader="tiffload", encoder=_TIFF),
    Format(
        "animated AVIF",
        rb"....ftypavis",
        refusal="is an animated AVIF, expected a still image; restore its frames one by one",
    ),
    Format(
        "HEIC",
        rb"....ftyphe[iv][csmx]",
        (".heic", ".heif"),
        refusal="is HEIC, for which no decoder is included; convert it to JPEG, PNG or AVIF first",
    ),
    Format("AVIF", rb"....ftyp(avif|mif[12]|msf1|miaf)", (".avif",), loader="heifload", encoder=_AVIF),
    Format(
        "JPEG XL",
        rb"\xff\x0a|\0\0\0\x0cJXL ",
        (".jxl",),
        refusal="is JPEG XL, for which no decoder is included; convert it to PNG or AVIF first",
    ),
    Format("BMP", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", (".bmp", ".dib")),
    Format("PNM", rb"P[1-6]\s", (".pbm", ".pgm", ".pnm", ".ppm")),
    Format("PFM", rb"P[Ff]\s", (".pfm",)),
    Format("JPEG 2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", (".j2k", ".jp2")),
    Format(
        "Windows icon",
        rb"\0\0[\1\2]\0.\0",
        (".ico",),
        refusal="is a Windows icon, which cannot be read; convert it to PNG first",
    ),
    Format(
        "Photoshop",
        rb"8BPS\0[\1\2]",
        refusal="is a Photoshop document, which cannot be read; export it as TIFF first",
    ),
    Format(
        "PDF",
        rb"%PDF-",
        refusal="is a PDF document, which cannot be read; export its images as PNG or TIFF first",
    ),
)

ENCODERS: Mapping[str, Encoder] = {
    suffix: known.encoder for known in FORMATS if known.encoder is not None for suffix in known.suffixes
}
WRITABLE = frozenset(ENCODERS)
READABLE = frozenset(suffix for known in FORMATS for suffix in (*known.suffixes, *known.read_only))
