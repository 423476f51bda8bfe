"""Find what a JPEG file holds besides its image: tables, comments, a video, a gain map, trailers of phones."""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.images.beside import CREDENTIALS

_COMMENT, _TABLES, _SCAN, _END = 0xFE, 0xDB, 0xDA, 0xD9
_FILLING = re.compile(rb"\xff+")
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
# What is read elsewhere, and what describes the coding: JFIF with its thumbnail, a quality of Photoshop.
_KNOWN = (
    *(b"JFIF", b"JFXX", b"Exif\0", b"http://ns.adobe.com/x", b"ICC_PROFILE\0", b"Photoshop 3.0\0", b"Adobe"),
    *(b"Ducky", b"MPF\0", b"urn:iso:std:iso:ts:21496"),
)
# Resources 2000 to 2998.
_CLIPPING_PATH = re.compile(rb"8BIM(?:\x07[\xd0-\xff]|[\x08-\x0a].|\x0b[\0-\xb6])", re.DOTALL)
_MARKED = (
    (b"JP", 0xEB, CREDENTIALS),
    (b"FLIR\0", 0xE1, "thermal data (FLIR)"),
    (b"FPXR\0", 0xE2, "FlashPix data (FPXR)"),
)


class JpegParts(NamedTuple):
    """What is in a JPEG file besides pixels, EXIF, XMP, IPTC and ICC.

    Args:
        comments: The texts of its comments, in unknown encoding.
        beside: Names of what is not carried.
        luma_table: The 64 steps by which luma was quantised, in the file's order; none if there is no such table.
    """

    comments: tuple[bytes, ...]
    beside: tuple[str, ...]
    luma_table: tuple[int, ...]


def jpeg_parts(path: Path) -> JpegParts:
    """Return the parts of a JPEG file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        segments = [(code, data[start:end]) for code, start, end in _segments(data)]
        after = data[_end_of_image(data) :]
    comments = tuple(body for code, body in segments if code == _COMMENT)
    names = [*_behind(segments, after), *_in_segments(segments)]
    return JpegParts(comments, tuple(dict.fromkeys(names)), _luma_table(segments))


def _behind(segments: list[tuple[int, bytes]], after: bytes) -> Iterator[str]:
    """Yield names of what stands behind the image."""
    names = [_second_image(segments, after), _motion(after), "Samsung trailer" if b"SEFT" in after[-8:] else ""]
    if after.strip(b"\0\r\n \xff") and not any(names):
        names.append(f"data of {len(after)} bytes after the image")
    return filter(None, names)


def _in_segments(segments: list[tuple[int, bytes]]) -> Iterator[str]:
    """Yield names of application segments that are not carried, as phones, drones and thermal imagers write them."""
    for code, body in segments:
        if code < 0xE0 or code > 0xEF:
            continue
        known = next((name for mark, marker, name in _MARKED if code == marker and body.startswith(mark)), None)
        if known or body.startswith(_EXTENDED_XMP):
            yield known or "extended XMP"
        elif code == 0xED and _CLIPPING_PATH.search(body):
            yield "clipping path of Photoshop"
        elif not body.startswith(_KNOWN):
            label = re.match(rb"[\w .:/-]{0,20}", body)
            name = label[0].decode("ascii").strip() if label else ""
            yield f"data of APP{code - 0xE0}{f' ({name})' if name else ''}"


def _segments(data: mmap.mmap) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each comment, table and application segment, up to the first scan."""
    at = 2
    while at + 4 <= len(data) and (filling := _FILLING.match(data, at)):
        at = filling.end() - 1
        code = data[at + 1] if at + 1 < len(data) else _SCAN
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if code == _SCAN or length < 2:
            return
        if code in (_COMMENT, _TABLES) or 0xE0 <= code <= 0xEF:
            yield code, at + 4, at + 2 + length
        at += 2 + length


def _luma_table(segments: list[tuple[int, bytes]]) -> tuple[int, ...]:
    """Return the first table of number 0 with steps of 8 bits."""
    for code, body in segments:
        at = 0
        while code == _TABLES and at + 65 <= len(body):
            if body[at] == 0:
                return tuple(body[at + 1 : at + 65])
            at += 129 if body[at] >> 4 else 65
    return ()


def _end_of_image(data: mmap.mmap) -> int:
    """Return the offset after the first image; thumbnails lie within segments, which are jumped over."""
    at = 2
    marker = re.compile(rb"\xff[^\0\xff\xd0-\xd7]", re.DOTALL)
    while found := marker.search(data, at):
        if data[found.end() - 1] == _END:
            return found.end()
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return len(data)


def _second_image(segments: list[tuple[int, bytes]], after: bytes) -> str:
    if any(b"hdrgm:" in body or b"urn:iso:std:iso:ts:21496" in body for _, body in segments):
        return "HDR gain map"
    if any(code == 0xE2 and body.startswith(b"MPF\0") for code, body in segments):
        return "second image (MPO: another view, or a gain map)"
    return "second image" if after.startswith(b"\xff\xd8\xff") else ""


def _motion(after: bytes) -> str:
    found = re.search(rb"....ftyp(?:mp4|iso|qt|heic|avc|MSNV|3gp)", after, re.DOTALL)
    return f"video of {len(after) - found.start()} bytes (motion photo)" if found else ""
