"""Identify an image file by its first bytes and its header, never by its name.

Nothing here decodes pixels, so hostile files are refused before they cost memory.
"""

import re
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.images.formats import FORMATS, Format

_BLANK = rb"(?:\s|#[^\n]*\n)+"


class Header(NamedTuple):
    """Size of an image in pixels; ``maximum`` is the value of white where the file chooses it (PNM)."""

    width: int
    height: int
    maximum: int | None = None


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
    if len(head) < 26:
        return None
    width, height = struct.unpack_from("<HH" if head[14] == 12 else "<ii", head, 18)
    return Header(width, abs(height))  # negative: rows from top to bottom


def _pnm_header(head: bytes) -> Header | None:
    found = re.match(rb"P(.)" + _BLANK + rb"(\d{1,9})" + _BLANK + rb"(\d{1,9})\s", head)
    if found is None:
        return None
    width, height = int(found[2]), int(found[3])
    if found[1] not in b"2356":
        return Header(width, height)
    white = re.match(rb"(?:\s|#[^\n]*\n)*(\d{1,5})\s", head[found.end() :])
    return Header(width, height, int(white[1])) if white and int(white[1]) else None


def _jp2_header(head: bytes) -> Header | None:
    if found := re.search(rb"ihdr(.{4})(.{4})", head, re.DOTALL):
        return Header(int.from_bytes(found[2], "big"), int.from_bytes(found[1], "big"))
    if found := re.search(rb"\xff\x51.{4}(.{4})(.{4})", head, re.DOTALL):
        return Header(int.from_bytes(found[1], "big"), int.from_bytes(found[2], "big"))
    return None


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


def png_chunks(path: Path, names: Collection[bytes], longest: int = 2**24) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and data of the chunks of a PNG file that have one of the names; data is cut after ``longest``."""
    with path.open("rb") as file:
        file.seek(8)
        for name, length in _png_chunks(file):
            if name in names:
                data = file.read(min(length, longest))
                file.seek(-len(data), 1)
                yield name, data


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
