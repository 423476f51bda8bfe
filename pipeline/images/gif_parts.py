"""Find what a GIF file holds besides its image, which libvips does not read: comments, XMP, an ICC profile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_EXTENSION, _IMAGE, _COMMENT, _APPLICATION = 0x21, 0x2C, 0xFE, 0xFF
_XMP, _ICC, _LOOPS = b"XMP DataXMP", b"ICCRGBG1012", (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_XMP_TRAILER = 257  # with which a reader of blocks that does not know XMP finds their end
_LONGEST = 2**24


class GifParts(NamedTuple):
    """What is in a GIF file besides pixels.

    Args:
        comments: Its texts, in unknown encoding.
        xmp: The packet.
        icc: The colour profile.
        others: Names of other applications whose data it holds.
    """

    comments: tuple[bytes, ...] = ()
    xmp: bytes | None = None
    icc: bytes | None = None
    others: tuple[str, ...] = ()


def gif_parts(path: Path) -> GifParts:
    """Return the parts of a GIF file; those that are cut off are left out."""
    comments, applications = list[bytes](), dict[bytes, bytes]()
    with path.open("rb") as file:
        for label, blocks in _extensions(file):
            if label == _COMMENT:
                comments.append(b"".join(block[1:] for block in blocks))
            elif label == _APPLICATION and blocks:
                name, data = blocks[0][1:], blocks[1:]
                # The bytes of XMP stand as they are, so that what looks like the length of a block is text.
                whole = b"".join(data)[:-_XMP_TRAILER] if name == _XMP else b"".join(block[1:] for block in data)
                applications[name] = whole
    named = (name.decode("latin-1").strip("\0 ") for name in applications if name not in (_XMP, _ICC, *_LOOPS))
    return GifParts(tuple(comments), applications.get(_XMP), applications.get(_ICC), tuple(named))


def _extensions(file: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    """Yield label and blocks, each with its length, of every extension."""
    head = file.read(13)
    file.seek(_table_size(head[10:11]), 1)
    while introducer := file.read(1):
        if introducer[0] == _EXTENSION:
            label = file.read(1)
            yield label[0] if label else 0, list(_blocks(file))
        elif introducer[0] == _IMAGE:
            file.seek(_table_size(file.read(9)[8:9]) + 1, 1)
            for _ in _blocks(file):
                pass
        else:
            return


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    read = 0
    while (length := file.read(1)) and length[0] and read < _LONGEST:
        read += length[0]
        yield length + file.read(length[0])


def _table_size(flags: bytes) -> int:
    """Return the bytes of the table of colours that the flags announce."""
    return 3 * 2 ** ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0
