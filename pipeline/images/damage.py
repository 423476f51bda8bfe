"""Distinguish files that are cut off from damaged ones, by the lengths that its format states."""

import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from pipeline.errors import BrokenImage
from pipeline.images.kinds import raw_header

# How decoders say that bytes are missing at the end.
_ENDED = re.compile(
    r"premature|truncat|unexpected end|end of (?:file|image|stream)|out of (?:data|bytes)", re.IGNORECASE
)
# What tifffile raises for damaged files.
TIFF_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error)
_END_OF_JPEG, _LOOKED_AT = b"\xff\xd9", 2**16


def broken_image(path: Path, name: str, detail: str) -> BrokenImage:
    """Return the error for a file that cannot be decoded.

    Args:
        path: The file.
        name: Of its format.
        detail: What its decoder says.
    """
    what = f" ({detail})" if detail else ""
    if _ENDED.search(detail) or is_cut_off(path, name):
        return BrokenImage(
            f"is cut off: the file ends before its image does{what}; copy or download it again", "cut off"
        )
    return BrokenImage(f"is damaged: its {name} data cannot be decoded{what}")


def is_cut_off(path: Path, name: str) -> bool:
    """Return whether a file is shorter than its format says, or lacks the end that the format prescribes."""
    check = _CHECKS.get(name)
    if check is None:
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        return check(file, size)


def ends_within_a_box(file: BinaryIO, size: int) -> bool:
    """Return whether a file of ISO boxes (MP4, AVIF, JP2) ends before its last box does."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, _ = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length == 0:
            return False  # up to the end of the file
        at += max(8, length)
    return at != size


def _lacks_png_end(file: BinaryIO, size: int) -> bool:
    at = 8
    while at + 12 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        at += 12 + length
        if name == b"IEND":
            return at > size
    return True


def _lacks_jpeg_end(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - _LOOKED_AT))
    return _END_OF_JPEG not in file.read()


def _is_shorter_than_riff(file: BinaryIO, size: int) -> bool:
    file.seek(4)
    return int.from_bytes(file.read(4), "little") + 8 > size


def _lacks_gif_end(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - 16))
    return b";" not in file.read()


def _is_shorter_than_bmp(file: BinaryIO, size: int) -> bool:
    file.seek(2)
    return int.from_bytes(file.read(4), "little") > size


def _points_behind_end(file: BinaryIO, size: int) -> bool:
    """Return whether the first directory of a TIFF, or a strip or tile of it, lies behind the end of the file."""
    from tifffile import TiffFile

    try:
        with TiffFile(file) as tiff:
            page = tiff.pages[0]
            ends = (at + length for at, length in zip(page.dataoffsets, page.databytecounts, strict=False))
            return max(ends, default=0) > size
    except TIFF_DAMAGE:
        file.seek(0)
        head = file.read(8)
        return len(head) < 8 or int.from_bytes(head[4:8], "little" if head[:2] == b"II" else "big") >= size


def _is_shorter_than_pnm(file: BinaryIO, size: int) -> bool:
    header = raw_header("PNM", file.read(_LOOKED_AT))
    return header is not None and header.end is not None and header.end > size


_CHECKS: Mapping[str, Callable[[BinaryIO, int], bool]] = MappingProxyType(
    {
        "PNG": _lacks_png_end,
        "JPEG": _lacks_jpeg_end,
        "WebP": _is_shorter_than_riff,
        "GIF": _lacks_gif_end,
        "BMP": _is_shorter_than_bmp,
        "PNM": _is_shorter_than_pnm,
        "TIFF": _points_behind_end,
        "AVIF": ends_within_a_box,
        "JPEG 2000": ends_within_a_box,
    }
)
