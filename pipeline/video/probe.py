"""Probe a video file: pixel format, colour tags, frame rate, time base, geometry, HDR metadata."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideData
from av.video.stream import VideoStream

from pipeline.errors import RefusedVideo
from pipeline.video.appended import has_appended_recording
from pipeline.video.clock import clock_of
from pipeline.video.colour import MATRICES, YUV
from pipeline.video.container import demuxed, open_video, video_stream_of
from pipeline.video.damage import DAMAGED
from pipeline.video.frame_times import FrameTimes
from pipeline.video.planes import pix_fmt_of, shape_of
from pipeline.video.sample_entry import dolby_vision_of

UNTAGGED = 2
_LIMITED, _FULL = 1, 2
_PROGRESSIVE = (0, 1)
ALPHA_DROPPED = "the alpha channel is dropped: videos are restored as opaque"
_HIGHEST_RATE = 480  # frames per second


@dataclass(frozen=True)
class Colours:
    """Colour tags by libav's numbers (ISO/IEC 23091-2); ``UNTAGGED`` if not stated."""

    matrix: int
    primaries: int
    transfer: int
    range: int


@dataclass(frozen=True)
class Footage:
    """Properties of a video stream that decoding, restoring and encoding it depend on.

    Attributes:
        size: Width and height in pixels, as stored.
        layout: Working format of the planes.
        colours: The result's tags: the source's own, with guesses for those it lacks.
        rate: Average frames per second; frames may be unevenly spaced.
        time_base: Seconds per tick of the timestamps.
        begin: Timestamp in seconds at which the file begins.
        duration: Seconds; None if unknown.
        aspect: Pixel aspect ratio, width by height; None if not stated.
        display_matrix: Rotation for display, as libav's nine integers.
        mastering: HDR: libav's AVMasteringDisplayMetadata, as bytes.
        light: HDR: libav's AVContentLightMetadata, as bytes.
        interlaced: Each frame holds two fields.
        notes: Properties that were guessed or are converted, one line each.
        losses: Properties that are dropped, likewise.
    """

    size: tuple[int, int]
    layout: YUV
    colours: Colours
    rate: Fraction
    time_base: Fraction
    begin: Fraction
    duration: Fraction | None
    aspect: Fraction | None = None
    display_matrix: tuple[int, ...] | None = None
    mastering: bytes | None = None
    light: bytes | None = None
    interlaced: bool = False
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()

    @property
    def frames(self) -> int | None:
        """Number of frames, by duration and rate."""
        return None if self.duration is None else max(1, round(self.duration * self.rate))


def probe(path: Path) -> Footage:
    """Read a video's header and its first frame.

    Raises:
        BrokenVideo: if it cannot be read.
        RefusedVideo: if it holds no frames, or colours that cannot be converted.
    """
    with open_video(path) as container:
        stream = video_stream_of(container)
        frame = _first_frame(container, stream)
        _refuse_without_base_layer(stream)
        colours, notes = _colours(frame)
        depth, halved = shape_of(frame.format.name)
        layout = YUV(depth, colours.matrix, colours.range == _FULL, halved)
        if re.sub("^yuv[aj]", "yuv", frame.format.name) != pix_fmt_of(layout):
            notes.append(f"{frame.format.name} is converted to {pix_fmt_of(layout)}")
        notes += _notes_on_times(container, stream)
        side = {data.type: bytes(data) for data in cast(Any, frame.side_data)}
        matrix = side.get(SideData.DISPLAYMATRIX)
        assert stream.time_base is not None
        return Footage(
            size=(frame.width, frame.height),
            layout=layout,
            colours=colours,
            rate=rate_of(stream),
            time_base=stream.time_base,
            begin=Fraction(container.start_time or 0, av.time_base),
            duration=_duration(container, stream),
            aspect=stream.sample_aspect_ratio or None,
            display_matrix=struct.unpack("9i", matrix) if matrix else None,
            mastering=side.get(SideData.MASTERING_DISPLAY_METADATA),
            light=side.get(SideData.CONTENT_LIGHT_LEVEL),
            interlaced=frame.interlaced_frame or stream.codec_context.field_order not in _PROGRESSIVE,
            notes=tuple(notes),
            losses=tuple(_losses(path, container, stream, frame)),
        )


def _refuse_without_base_layer(stream: VideoStream) -> None:
    found = dolby_vision_of(stream)
    if found is not None and not found.has_base:
        raise RefusedVideo(
            f"is Dolby Vision (profile {found.profile}) without a base layer that can be shown by itself; "
            "convert it to HDR10 or SDR first"
        )


def _losses(path: Path, container: InputContainer, stream: VideoStream, frame: av.VideoFrame) -> Iterator[str]:
    if _has_alpha(frame, stream):
        yield ALPHA_DROPPED
    if has_appended_recording(path, container.format.name):
        yield "another recording was appended to the file and is not restored; save the two as files of their own"


def _has_alpha(frame: av.VideoFrame, stream: VideoStream) -> bool:
    """Return whether there is an alpha channel; VP8 and VP9 store it separately and flag it in the metadata."""
    return any(component.is_alpha for component in frame.format.components) or stream.metadata.get("alpha_mode") == "1"


def _first_frame(container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    for packet in demuxed(container, [stream]):
        try:
            for frame in packet.decode():
                return frame
        except DAMAGED:
            continue
    raise RefusedVideo("holds no frame that can be decoded", "damaged")


def rate_of(stream: VideoStream) -> Fraction:
    """Return the average rate, else libav's guess; some files state the rate of their time base instead."""
    rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return next((rate for rate in rates if rate is not None and 0 < rate <= _HIGHEST_RATE), Fraction(25))


def _notes_on_times(container: InputContainer, stream: VideoStream) -> Iterator[str]:
    if jumps := clock_of(container).jumps:
        yield f"the clock jumps {jumps} time{'s' * (jumps > 1)}, as in joined recordings; it is continued there"
    if FrameTimes(container).are_counted:
        yield f"holds no times; its frames are shown at {float(rate_of(stream)):g} per second"


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if (length := clock_of(container).length) is not None:
        return length
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _colours(frame: av.VideoFrame) -> tuple[Colours, list[str]]:
    """Return the frame's colour tags, with a guess for a missing matrix or range, and notes on guesses.

    Untagged video is BT.709 from 1280 columns or 577 rows on, BT.601 below, as players assume. The result
    is tagged with the guess, because at its size players may assume the other.
    """
    notes = []
    full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
    matrix = frame.colorspace
    if frame.format.is_rgb or frame.format.has_palette:
        matrix, full = 1, False
    elif matrix in (UNTAGGED, 3):
        matrix = 1 if frame.width >= 1280 or frame.height > 576 else 6
        notes.append(f"untagged colours are read as {MATRICES[matrix][0]}, and the result is tagged accordingly")
    if matrix not in MATRICES:
        known = f"expected one of {sorted(MATRICES)}; convert the video to BT.709 (1) first"
        raise RefusedVideo(f"uses colour matrix {matrix} of ISO/IEC 23091-2, {known}")
    return Colours(matrix, frame.color_primaries, frame.color_trc, _FULL if full else _LIMITED), notes
