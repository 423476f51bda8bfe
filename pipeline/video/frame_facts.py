"""What frames say beside their pixels: closed captions, active format, 360 degrees, dynamic HDR and the like.

Some of it travels in messages of H.264 and HEVC (SEI, ITU-T H.274), into which they are packed here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

import av
from av.sidedata.sidedata import Type as SideData

CAPTIONS, ACTIVE_FORMAT, USER_DATA = "closed captions", "active format description", "user data (SEI)"
SPHERICAL, STEREO = "spherical projection", "stereo layout"
DOLBY_VISION = "Dolby Vision"
# Of every frame; libav's decoders give all of them.
_OF_FRAMES: Mapping[SideData, str] = MappingProxyType(
    {
        SideData.A53_CC: CAPTIONS,
        SideData.AFD: ACTIVE_FORMAT,
        SideData.SEI_UNREGISTERED: USER_DATA,
        SideData.S12M_TIMECODE: "timecodes of frames",
        SideData.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
        SideData.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
        SideData.DOVI_METADATA: "Dolby Vision metadata",
    }
)
# Of the stream, which libav repeats in every frame.
_OF_STREAM: Mapping[SideData, str] = MappingProxyType({SideData.SPHERICAL: SPHERICAL, SideData.STEREO3D: STEREO})
# What an encoder says of itself: those of x264 and x265.
_ENCODERS = (
    bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef"),
    bytes.fromhex("2ca2de09b51747dbbb55a4fe7fc2fc4e"),
)
CARRIED = (CAPTIONS, ACTIVE_FORMAT, USER_DATA)
NOT_CARRIED = (DOLBY_VISION, *(name for name in _OF_FRAMES.values() if name not in CARRIED))

_REGISTERED, _UNREGISTERED = 4, 5  # payload types of SEI
_ATSC = b"\xb5\x00\x31"  # United States, ATSC
_MOST_CAPTIONS = 31


def facts_of_frame(frame: av.VideoFrame) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of what a frame says, without what encoders say of themselves."""
    for data in cast(Any, frame.side_data):
        content = bytes(data) if data.type in _OF_FRAMES else b""
        if content and not content.startswith(_ENCODERS):
            yield _OF_FRAMES[data.type], content


def facts_of_stream(frame: av.VideoFrame) -> dict[str, tuple[float, ...]]:
    """Return the numbers that describe a stream's projection and views, by name."""
    found = {data.type: bytes(data) for data in cast(Any, frame.side_data) if data.type in _OF_STREAM}
    return {_OF_STREAM[kind]: struct.unpack(f"{len(content) // 4}i", content) for kind, content in found.items()}


def messages_of(frame: av.VideoFrame) -> bytes:
    """Return what H.264 and HEVC can carry of a frame's facts, as SEI messages; empty for most frames."""
    packed = b""
    for name, content in facts_of_frame(frame):
        if name == CAPTIONS:
            for at in range(0, len(content), 3 * _MOST_CAPTIONS):
                triplets = content[at : at + 3 * _MOST_CAPTIONS]
                head = _ATSC + b"GA94\x03" + bytes([0x40 | len(triplets) // 3, 0xFF])
                packed += _message(_REGISTERED, head + triplets + b"\xff")
        elif name == ACTIVE_FORMAT:
            packed += _message(_REGISTERED, _ATSC + b"DTG1\x41" + bytes([0xF0 | content[0]]))
        elif name == USER_DATA:
            packed += _message(_UNREGISTERED, content)
    return packed


def with_messages(data: bytes, messages: bytes, codec: str) -> bytes:
    """Return a packet with SEI messages before its slices.

    Args:
        data: Units with their lengths in four bytes before each, as MP4 and Matroska store them.
        messages: From ``messages_of``.
        codec: ``h264`` or ``hevc``; packets of others are returned as they are.
    """
    if not messages or codec not in ("h264", "hevc"):
        return data
    head, is_slice = (b"\x06", _is_avc_slice) if codec == "h264" else (b"\x4e\x01", _is_hevc_slice)
    unit = head + _escaped(messages + b"\x80")
    at = next((start for start, first in _units(data) if is_slice(first)), 0)
    return data[:at] + struct.pack(">I", len(unit)) + unit + data[at:]


def _units(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each unit starts, with its first byte."""
    at = 0
    while at + 4 < len(data):
        yield at, data[at + 4]
        at += 4 + int.from_bytes(data[at : at + 4], "big")


def _is_avc_slice(first: int) -> bool:
    return 1 <= first & 31 <= 5


def _is_hevc_slice(first: int) -> bool:
    return first >> 1 & 63 < 32


def _message(kind: int, payload: bytes) -> bytes:
    return bytes([kind]) + b"\xff" * (len(payload) // 255) + bytes([len(payload) % 255]) + payload


def _escaped(data: bytes) -> bytes:
    """Insert the byte 3 where two zeros and a small byte would be taken for a start code."""
    out, zeros = bytearray(), 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
