"""Identify an image file by its first bytes and its header, never by its name.

Nothing here decodes pixels, so hostile files are refused before they cost memory.
"""

import re
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.errors import BrokenImage, RefusedImage
from pipeline.images.formats import FORMATS, Format

_BLANK = rb"(?:\s|#[^\n]*\n)+"


class Header(NamedTuple):
    """What the header of an image file says.

    Args:
        width: In pixels.
        height: Likewise.
        maximum: The value of white where the file chooses it (PNM, JPEG 2000).
        unusual: Valid, but rare, so that a decoder may lack it; empty if nothing is.
        end: Where the pixels end, if the header says so (PNM in binary).
    """

    width: int
    height: int
    maximum: int | None = None
    unusual: str = ""
    end: int | None = None


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise an error for a size that an image cannot have, or that may be a decompression bomb.

    Raises:
        RefusedImage: for more pixels than the limit.
        BrokenImage: for none.
    """
    if width * height > max_pixels:
        raise RefusedImage(
            f"claims {width} x {height} = {width * height / 1e6:.0f} megapixels, expected at most "
            f"{max_pixels / 1e6:.0f}; if it is no decompression bomb, allow more (max_pixels: {width * height})",
            "too large",
        )
    if width < 1 or height < 1:
        raise BrokenImage(f"claims {width} x {height} pixels")


def format_of(head: bytes) -> Format | None:
    """Return the format of a file that begins with ``head``; None if it is unknown."""
    return next((known for known in FORMATS if re.match(known.signature, head, re.DOTALL)), None)


def raw_header(name: str, head: bytes) -> Header | None:
    """Read the header of a file in one of the formats BMP, PNM, PFM and JPEG 2000; None if it is damaged.

    OpenCV decodes these, and has no call that stops after the header.
    """
    if name == "BMP":
        return _bmp_header(head)
    return _jp2_header(head) if name == "JPEG 2000" else _pnm_header(head)


def _bmp_header(head: bytes) -> Header | None:
    if len(head) < 34:
        return None
    width, height = struct.unpack_from("<HH" if head[14] == 12 else "<ii", head, 18)
    (coding,) = struct.unpack_from("<I", head, 30) if head[14] > 12 else (0,)
    unusual = f"BMP compression {coding}" if coding > 3 else ""
    return Header(width, abs(height), unusual=unusual)  # negative: rows from top to bottom


def _pnm_header(head: bytes) -> Header | None:
    if head[1:2] in b"Ff":
        return _pfm_header(head)
    found = re.match(rb"P(.)" + _BLANK + rb"(\d{1,9})" + _BLANK + rb"(\d{1,9})\s", head)
    if found is None:
        return None
    kind, width, height = found[1], int(found[2]), int(found[3])
    if kind not in b"2356":
        end = found.end() + -(-width // 8) * height if kind == b"4" else None
        return Header(width, height, end=end)
    white = re.match(rb"(?:\s|#[^\n]*\n)*(\d{1,5})\s", head[found.end() :])
    if not white or not int(white[1]):
        return None
    size = width * height * (3 if kind == b"6" else 1) * (1 if int(white[1]) < 2**8 else 2)
    return Header(width, height, int(white[1]), end=found.end() + white.end() + size if kind in b"56" else None)


def _pfm_header(head: bytes) -> Header | None:
    """Read size and scale, whose sign is the order of bytes; OpenCV divides by another scale than 1, others do not."""
    found = re.match(rb"P." + _BLANK + rb"(\d{1,9})" + _BLANK + rb"(\d{1,9})" + _BLANK + rb"[-+]?([\d.]+)\s", head)
    if found is None:
        return None
    unusual = "" if re.fullmatch(rb"0*1\.?0*", found[3]) else f"a scale of {found[3].decode()} (expected 1)"
    return Header(int(found[1]), int(found[2]), unusual=unusual)


def _jp2_header(head: bytes) -> Header | None:
    """Read the box, and of the codestream's marker the depth, which the box of libav's files states wrongly."""
    found = re.search(rb"\xff\x51.{4}(.{4})(.{4}).{24}(.{2})(.)", head, re.DOTALL)
    box = re.search(rb"ihdr(.{4})(.{4})", head, re.DOTALL)
    height, width = (int.from_bytes(side, "big") for side in box.groups()) if box else (0, 0)
    if found is None:
        return Header(width, height) if box else None
    *size, channels, depth = (int.from_bytes(value, "big") for value in found.groups())
    width, height = width or size[0], height or size[1]
    # The number of bits less one, and 128 for signed values.
    bits, signed = (depth & 127) + 1, "signed " if depth & 128 else ""
    unusual = "" if depth in range(7, 16) and channels in (1, 3, 4) else f"{channels} channels of {signed}{bits} bits"
    return Header(width, height, 2**bits - 1 if bits <= 16 else None, unusual)


def is_animated_png(path: Path) -> bool:
    """Return whether a PNG is an APNG, of which libvips would silently read the first frame only."""
    with path.open("rb") as file:
        file.seek(8)
        for name, _ in _png_chunks(file):
            if name in (b"acTL", b"IDAT"):
                return name == b"acTL"
    return False


def is_lossless_webp(path: Path) -> bool:
    """Return whether a WebP holds its pixels exactly."""
    with path.open("rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", header)
            if name in (b"VP8L", b"VP8 "):
                return bool(name == b"VP8L")
            file.seek(length + length % 2, 1)
    return False


def png_chunks(path: Path, names: Collection[bytes] | None, longest: int = 2**24) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and data of the chunks of a PNG file that have one of the names; data is cut after ``longest``.

    Without names, of all chunks up to the end of the image.
    """
    with path.open("rb") as file:
        file.seek(8)
        for name, length in _png_chunks(file):
            if names is None or name in names:
                data = file.read(min(length, longest))
                file.seek(-len(data), 1)
                yield name, data
            if name == b"IEND":
                return


def png_end(path: Path) -> int:
    """Return the offset behind the last chunk of a PNG file; that of its end if the chunk is missing."""
    with path.open("rb") as file:
        end = file.seek(8)
        for name, length in _png_chunks(file):
            end += 12 + length
            if name == b"IEND":
                return end
    return path.stat().st_size


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield (name, length of its data) of each chunk from where the file stands."""
    while len(header := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", header)
        yield name, length
        file.seek(length + 4, 1)
