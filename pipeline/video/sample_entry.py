"""Read and copy what a stream says of itself in boxes of MP4's sample entry: 360 degrees, stereo, Dolby Vision.

libav keeps it beside the stream for whatever container, where PyAV has no access. Muxed into the header of an MP4 in
memory, it is bytes (Google's Spherical Video V2, Apple's vexu, ETSI TS 103 572).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.stream import VideoStream

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_STEREO, _APPLE_VIEWS = b"st3d", b"vexu"
_VIEWS = (_STEREO, b"sv3d")
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
    for name, box in _boxes(header_of(stream)):
        if name in _DOLBY_VISION and len(box) >= 13:
            profile, compatible = box[10] >> 1, box[12] >> 4
            return DolbyVision(profile, bool(compatible) or profile in _WITH_BASE)
    return None


def open_with_views(encoded: VideoStream, source: VideoStream) -> InputContainer | None:
    """Return a file whose video stream is the encoded one with the projection and views of the source.

    None if the source has none, or the codec cannot be stored in MP4. Close it after its stream has been copied.
    """
    boxes = _boxes(header_of(source))
    wanted = _VIEWS if _STEREO in dict(boxes) else (*_VIEWS, _APPLE_VIEWS)
    views = [box for name, box in boxes if name in wanted]
    header = header_of(encoded)
    if not views or not header:
        return None
    return av.open(io.BytesIO(with_boxes(header, b"".join(views))), "r")


def header_of(stream: VideoStream) -> bytes:
    """Return the header of an MP4 file with a stream alone; empty if MP4 cannot store it."""
    file = io.BytesIO()
    options = {"movflags": "empty_moov+default_base_moof+frag_keyframe", "strict": "unofficial"}
    try:
        with av.open(file, "w", format="mp4", options=options) as out:
            out.add_stream_from_template(stream, opaque=True)
            out.start_encoding()
    except (av.FFmpegError, ValueError):
        return b""
    return file.getvalue()


def with_boxes(header: bytes, boxes: bytes) -> bytes:
    """Return a header with boxes appended to its sample entry; all boxes around it grow."""
    grown, around = bytearray(header), next(_entries(header))
    for start, end in around:
        struct.pack_into(">I", grown, start, end - start + len(boxes))
    end = around[-1][1]
    return bytes(grown[:end]) + boxes + bytes(grown[end:])


def hide_apple_views(path: Path) -> None:
    """Rename the box in which libav repeats a stereo layout in Apple's terms: read back, it would overrule the other.

    Apple's terms have neither side by side nor top and bottom.
    """
    with path.open("r+b") as file:
        at, size = 0, 0
        while len(head := file.read(16)) == 16:
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:], "big") if size == 1 else size
            if head[4:8] == b"moov" or size < 8:
                break
            at += size
            file.seek(at)
        file.seek(at)
        header = file.read(size)
        places = {name: start for name, start, _ in _places(header)}
        if places.keys() >= {_STEREO, _APPLE_VIEWS}:
            file.seek(at + places[_APPLE_VIEWS] - 4)
            file.write(b"free")


def _entries(header: bytes) -> Iterator[list[tuple[int, int]]]:
    """Yield start and end of the first sample entry of each track, preceded by those of all boxes around it."""
    for chain in _chains(header, 0, len(header), _PATH):
        start = chain[-1][0] + _STSD_HEAD
        yield [*chain, (start, start + int.from_bytes(header[start : start + 4], "big"))]


def _chains(data: bytes, at: int, end: int, path: tuple[bytes, ...]) -> Iterator[list[tuple[int, int]]]:
    """Yield start and end of the boxes along each way that has these names."""
    for name, start, to in _children(data, at, end):
        if name == path[0]:
            inner = _chains(data, start, to, path[1:]) if path[1:] else iter([[]])
            yield from ([(start - 8, to), *rest] for rest in inner)


def _children(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the content and end of the boxes between two offsets."""
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield name, at + 8, at + size
        at += size


def _places(header: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the content and end of the boxes in the sample entries."""
    for chain in _entries(header):
        start, end = chain[-1]
        yield from _children(header, start + _ENTRY_HEAD, end)


def _boxes(header: bytes) -> list[tuple[bytes, bytes]]:
    """Return name and bytes of the boxes in the sample entries."""
    return [(name, header[start - 8 : end]) for name, start, end in _places(header)]
