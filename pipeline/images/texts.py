"""Insert texts into written files as the bytes that they are, which libvips cannot."""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

_BLOCK = 2**20
_AFTER_PNG_HEADER = 33


def insert_png_texts(path: Path, chunks: Iterable[tuple[bytes, bytes]]) -> None:
    """Insert chunks after the header of a PNG file, where readers find them before the pixels."""
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    _insert(path, _AFTER_PNG_HEADER, b"".join(packed))


def insert_jpeg_comments(path: Path, comments: Iterable[bytes]) -> None:
    """Insert comments after the application segments of a JPEG file."""
    data = b"".join(b"\xff\xfe" + struct.pack(">H", 2 + len(text)) + text for text in comments)
    at = 2
    with path.open("rb") as file:
        file.seek(at)
        while len(header := file.read(4)) == 4 and header[0] == 0xFF and 0xE0 <= header[1] <= 0xEF:
            at += 2 + int.from_bytes(header[2:], "big")
            file.seek(at)
    _insert(path, at, data)


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
