"""Insert texts and EXIF into written files as the bytes that they are, which libvips cannot."""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from pipeline.images.metadata import Metadata
from pipeline.images.tiff_metadata import EXIF_PREFIX, LONGEST_EXIF

_BLOCK = 2**20
_AFTER_PNG_HEADER, _AFTER_JPEG_BEGIN = 33, 2


def insert_png_chunks(path: Path, exif: bytes | None, texts: Iterable[tuple[bytes, bytes]]) -> None:
    """Insert EXIF and chunks of texts after the header of a PNG file, where readers find them before the pixels."""
    chunks = [*([] if exif is None else [(b"eXIf", exif.removeprefix(EXIF_PREFIX))]), *texts]
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    _insert(path, _AFTER_PNG_HEADER, b"".join(packed))


def insert_jpeg_segments(path: Path, exif: bytes | None, metadata: Metadata) -> None:
    """Insert JFIF, which holds the resolution, then EXIF, and comments after all application segments, into a JPEG.

    libvips writes JFIF with its own EXIF only. EXIF that is longer than a segment is left out.
    """
    if _end_of_segments(path, 0xE0, 0xE0) == _AFTER_JPEG_BEGIN:
        _insert(path, _AFTER_JPEG_BEGIN, _segment(0xE0, _jfif(metadata)))
    if exif is not None and len(exif) <= LONGEST_EXIF:
        segment = _segment(0xE1, EXIF_PREFIX + exif.removeprefix(EXIF_PREFIX))
        _insert(path, _end_of_segments(path, 0xE0, 0xE0), segment)
    _insert(path, _end_of_segments(path, 0xE0, 0xEF), b"".join(_segment(0xFE, text) for text in metadata.comments))


def _jfif(metadata: Metadata) -> bytes:
    """Return the content of the segment: version 1.1, the resolution by inch or centimetre, and no thumbnail."""
    unit, millimetres = (2, 10.0) if metadata.resolution_unit == "cm" else (1, 25.4)
    across, down = (min(0xFFFF, max(1, round(millimetres * pixels))) for pixels in metadata.resolution)
    return b"JFIF\0\1\1" + struct.pack(">BHHBB", unit, across, down, 0, 0)


def _segment(code: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, 2 + len(content)) + content


def _end_of_segments(path: Path, first: int, last: int) -> int:
    """Return where the segments end with which a JPEG file begins, if their codes are in a range."""
    at = _AFTER_JPEG_BEGIN
    with path.open("rb") as file:
        file.seek(at)
        while len(header := file.read(4)) == 4 and header[0] == 0xFF and first <= header[1] <= last:
            at += 2 + int.from_bytes(header[2:], "big")
            file.seek(at)
    return at


def _insert(path: Path, at: int, data: bytes) -> None:
    """Insert bytes into a file: what follows is moved from its end on, in blocks."""
    if not data:
        return
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end > at:
            start = max(at, end - _BLOCK)
            file.seek(start)
            block = file.read(end - start)
            file.seek(start + len(data))
            file.write(block)
            end = start
        file.seek(at)
        file.write(data)
