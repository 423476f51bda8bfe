"""Find what a GIF file holds besides its image, which libvips does not read: comments, XMP, an ICC profile."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from pipeline.pixels import Pixels, white

_EXTENSION, _IMAGE, _COMMENT, _APPLICATION = 0x21, 0x2C, 0xFE, 0xFF
_XMP, _ICC, _LOOPS = b"XMP DataXMP", b"ICCRGBG1012", (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_XMP_TRAILER = 257  # with which a reader of blocks that does not know XMP finds their end
_PLACE = -1  # of an image, beside the labels of extensions
_LONGEST = 2**24


class GifParts(NamedTuple):
    """What is in a GIF file besides pixels.

    Args:
        comments: Its texts, in unknown encoding.
        xmp: The packet.
        icc: The colour profile.
        others: Names of other applications whose data it holds.
        frame: Left, top, width and height of the first image on the canvas, in pixels.
    """

    comments: tuple[bytes, ...] = ()
    xmp: bytes | None = None
    icc: bytes | None = None
    others: tuple[str, ...] = ()
    frame: tuple[int, int, int, int] | None = None


def gif_parts(path: Path) -> GifParts:
    """Return the parts of a GIF file; those that are cut off are left out."""
    comments, applications, frame = list[bytes](), dict[bytes, bytes](), None
    with path.open("rb") as file:
        for label, blocks in _blocks_by_label(file):
            if label == _PLACE and len(blocks[0]) == 8:
                frame = frame or struct.unpack("<4H", blocks[0])
            elif label == _COMMENT:
                comments.append(b"".join(block[1:] for block in blocks))
            elif label == _APPLICATION and blocks:
                name, data = blocks[0][1:], blocks[1:]
                # The bytes of XMP stand as they are, so that what looks like the length of a block is text.
                whole = b"".join(data)[:-_XMP_TRAILER] if name == _XMP else b"".join(block[1:] for block in data)
                applications[name] = whole
    named = (name.decode("latin-1").strip("\0 ") for name in applications if name not in (_XMP, _ICC, *_LOOPS))
    return GifParts(tuple(comments), applications.get(_XMP), applications.get(_ICC), tuple(named), frame)


def transparent_around(pixels: Pixels, frame: tuple[int, int, int, int]) -> Pixels:
    """Return ``(H, W, 1..4)`` with alpha if an image leaves parts of its canvas free, which libvips makes black."""
    left, top, width, height = frame
    alpha = np.zeros_like(pixels[..., :1])
    alpha[top : top + height, left : left + width] = white(pixels.dtype)
    return pixels if pixels.shape[2] in (2, 4) or alpha.all() else np.concatenate([pixels, alpha], axis=2)


def _blocks_by_label(file: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    """Yield label and blocks, each with its length, of every extension, and of every image where it lies."""
    head = file.read(13)
    file.seek(_table_size(head[10:11]), 1)
    while introducer := file.read(1):
        if introducer[0] == _EXTENSION:
            label = file.read(1)
            yield label[0] if label else 0, list(_blocks(file))
        elif introducer[0] == _IMAGE:
            place = file.read(9)
            yield _PLACE, [place[:8]]
            file.seek(_table_size(place[8:9]) + 1, 1)
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
