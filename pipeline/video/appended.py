"""Find a recording that was appended to another in one file, where the demuxer stops at the end of the first.

Of MPEG, AVI, Matroska and MXF libav reads on, and the clock is continued (``clock``).
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

# "FLV", version 1, flags, the header's length, and the size of the tag before the first.
_FLV_HEADER = re.compile(rb"FLV\x01[\x00-\x05]\x00\x00\x00\x09\x00\x00\x00\x00", re.DOTALL)
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


def has_appended_recording(path: Path, format_name: str) -> bool:
    """Return whether a file holds a recording behind the first that libav does not read.

    Args:
        path: The file.
        format_name: Of libav's demuxer: ``flv``, ``mov,mp4,m4a,3gp,3g2,mj2``.
    """
    check = _CHECKS.get(format_name.partition(",")[0])
    if check is None or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        return check(file, path.stat().st_size)


def _has_second_flv_header(file: BinaryIO, size: int) -> bool:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _FLV_HEADER.search(content, 1) is not None


def _has_second_asf_header(file: BinaryIO, size: int) -> bool:
    """Go from object to object; that of the data has no length while it is broadcast."""
    at = 0
    while at + 24 <= size:
        file.seek(at)
        kind, length = struct.unpack("<16sQ", file.read(24))
        if at and kind == _ASF_HEADER:
            return True
        if length < 24:
            return False
        at += length
    return False


def _has_second_file_type(file: BinaryIO, size: int) -> bool:
    """Go from box to box; a file begins with one that names its type."""
    at = 0
    while at + 16 <= size:
        file.seek(at)
        short, kind, long = struct.unpack(">I4sQ", file.read(16))
        if at and kind == b"ftyp":
            return True
        length = long if short == 1 else short
        if length < 8:
            return False
        at += length
    return False


def _has_second(begin: bytes) -> Callable[[BinaryIO, int], bool]:
    """Return a check for a second occurrence of the bytes with which every file of a format begins."""

    def check(file: BinaryIO, size: int) -> bool:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(begin, 1) >= 0

    return check


_CHECKS: Mapping[str, Callable[[BinaryIO, int], bool]] = MappingProxyType(
    {
        "flv": _has_second_flv_header,
        "asf": _has_second_asf_header,
        "mov": _has_second_file_type,
        "ivf": _has_second(b"DKIF\0\0\x20\0"),
        "nut": _has_second(b"nut/multimedia container\0"),
        "yuv4mpegpipe": _has_second(b"YUV4MPEG2 "),
        "wtv": _has_second(bytes.fromhex("b7d800203749da11a64e0007e95ead8d")),
    }
)
