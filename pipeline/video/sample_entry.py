"""Read and copy what a stream says of itself in boxes of MP4's sample entry: 360 degrees, stereo, Dolby Vision.

libav keeps it beside the stream for whatever container, where PyAV has no access. Muxed into the header of an MP4 in
memory, it is bytes (Google's Spherical Video V2, Apple's vexu, ETSI TS 103 572).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.stream import VideoStream

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_VIEWS = (b"st3d", b"sv3d", b"vexu", b"hfov")
_DOLBY_VISION = (b"dvcC", b"dvvC", b"dvwC")
_STSD_HEAD, _ENTRY_HEAD = 16, 86
_WITH_BASE = (4, 7)  # profiles whose base layer is SDR or HDR10 by definition


class DolbyVision(NamedTuple):
    """The configuration of a Dolby Vision stream.

    Args:
        profile: Such as 5, 7 or 8.
        has_base: Whether its base layer can be shown by itself.
    """

    profile: int
    has_base: bool


def dolby_vision_of(stream: VideoStream) -> DolbyVision | None:
    """Return what a stream says of Dolby Vision; None if it says nothing."""
    for name, box in _boxes(_header(stream)):
        if name in _DOLBY_VISION and len(box) >= 13:
            profile, compatible = box[10] >> 1, box[12] >> 4
            return DolbyVision(profile, bool(compatible) or profile in _WITH_BASE)
    return None


def open_with_views(encoded: VideoStream, source: VideoStream) -> InputContainer | None:
    """Return a file whose video stream is the encoded one with the projection and views of the source.

    None if the source has none, or the codec cannot be stored in MP4. Close it after its stream has been copied.
    """
    views = b"".join(box for name, box in _boxes(_header(source)) if name in _VIEWS)
    header = _header(encoded)
    if not views or not header:
        return None
    return av.open(io.BytesIO(_with_boxes(header, views)), "r")


def _header(stream: VideoStream) -> bytes:
    """Return the header of an MP4 with the stream alone; empty if it cannot be stored there."""
    file = io.BytesIO()
    options = {"movflags": "empty_moov+default_base_moof+frag_keyframe", "strict": "unofficial"}
    try:
        with av.open(file, "w", format="mp4", options=options) as out:
            out.add_stream_from_template(stream, opaque=True)
            out.start_encoding()
    except (av.FFmpegError, ValueError):
        return b""
    return file.getvalue()


def _entry(header: bytes) -> list[tuple[int, int]]:
    """Return start and end of the first sample entry, preceded by those of all boxes around it."""
    found, start, end = [], 0, len(header)
    for wanted in _PATH:
        start, end = next(((at, to) for name, at, to in _children(header, start, end) if name == wanted), (0, 0))
        found.append((start - 8, end))
        if not end:
            return []
    start += _STSD_HEAD - 8
    return [*found, (start, start + int.from_bytes(header[start : start + 4], "big"))]


def _children(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the content and end of the boxes between two offsets."""
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield name, at + 8, at + size
        at += size


def _boxes(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes in the sample entry, with their heads."""
    for start, end in _entry(header)[-1:]:
        for name, at, to in _children(header, start + _ENTRY_HEAD, end):
            yield name, header[at - 8 : to]


def _with_boxes(header: bytes, boxes: bytes) -> bytes:
    """Append boxes to the sample entry; all that are around it grow."""
    grown, around = bytearray(header), _entry(header)
    for start, end in around:
        struct.pack_into(">I", grown, start, end - start + len(boxes))
    end = around[-1][1]
    return bytes(grown[:end]) + boxes + bytes(grown[end:])
