"""What a frame says of its colours, of high dynamic range, and of how it is turned."""

from __future__ import annotations

import struct

import av
from av.sidedata.sidedata import Type as SideData

Tags = dict[str, tuple[float, ...] | str]
_UNSAID = 2  # by ISO/IEC 23091-2


def rotation_of(frame: av.VideoFrame) -> str:
    """Return by how many degrees a frame is shown turned, and whether mirrored."""
    matrix = _side_data(frame, SideData.DISPLAYMATRIX)
    a, b, _, c, d = struct.unpack("9i", matrix)[:5] if matrix else (1, 0, 0, 0, 1)
    return f"{frame.rotation} degrees" + (", mirrored" if a * d < b * c else "")


def colour_tags(frame: av.VideoFrame) -> Tags:
    """Return the numbers of a frame's colours, by ISO/IEC 23091-2; those that say nothing are left out."""
    tags = {"primaries": frame.color_primaries, "transfer": frame.color_trc}
    if not (frame.format.is_rgb or frame.format.has_palette):  # the result is always encoded as YUV
        tags["matrix"] = frame.colorspace
        if frame.color_range:
            tags["range"] = frame.color_range
    return {f"colour {name}": (tag,) for name, tag in tags.items() if tag != _UNSAID or name == "range"}


def hdr_tags(frame: av.VideoFrame) -> Tags:
    """Return the display that a frame was mastered on, and its greatest and mean light level."""
    tags: Tags = {}
    if mastering := _side_data(frame, SideData.MASTERING_DISPLAY_METADATA):
        numbers = struct.unpack("20i", mastering[:80])
        fractions = zip(numbers[0::2], numbers[1::2], strict=True)
        tags["mastering display"] = tuple(round(top / bottom, 5) if bottom else 0.0 for top, bottom in fractions)
    if light := _side_data(frame, SideData.CONTENT_LIGHT_LEVEL):
        tags["content light"] = struct.unpack("2I", light[:8])
    return tags


def _side_data(frame: av.VideoFrame, kind: SideData) -> bytes:
    return bytes(frame.side_data[kind]) if kind in frame.side_data else b""
