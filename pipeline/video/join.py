"""Mux the segments and all other streams of the source into one file, without re-encoding."""

from __future__ import annotations

import heapq
import io
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from pipeline.errors import BrokenVideo, needing_space
from pipeline.video.container import FILE_ONLY_METADATA, address_of, open_video, video_stream_of
from pipeline.video.copied_streams import Timed, add_copy, copied_packets, describe
from pipeline.video.frame_facts import with_messages
from pipeline.video.metadata_keys import metadata_flag
from pipeline.video.options import FORMATS
from pipeline.video.probe import Footage
from pipeline.video.sample_entry import hide_apple_views, open_with_views
from pipeline.video.segments import FrameTiming, Segment, decoding_times, packets_of
from pipeline.video.timecode import shifted_timecodes
from pipeline.video.window import Window


def join(path: Path, source: Path | None, segments: Sequence[Segment], footage: Footage, window: Window) -> list[str]:
    """Write the video into ``path`` with all other streams, chapters and metadata of ``source``.

    Args:
        path: The result; its suffix is a key of ``FORMATS``.
        source: The file that was restored; None for a folder of frames.
        segments: All segments of the video, in order.
        footage: Properties of the source.
        window: The part of the source that was restored.

    Returns:
        A note for each kind of value that the container stores less precisely.

    Raises:
        BrokenVideo: if libav cannot write the file.
        OutOfSpace: if the disk is full.
    """
    muxer = _muxer_for(path.suffix)
    _mux(address_of(path), path.suffix, source, segments, footage, window)
    if muxer == "mp4":
        hide_apple_views(path)
    return list(_rounded_by(muxer, segments, footage))


def try_to_join(suffix: str, source: Path | None, segment: Segment, footage: Footage, window: Window) -> None:
    """Mux all other streams of ``source`` beside one segment and keep nothing, to see whether ``join`` will succeed.

    Raises:
        BrokenVideo: as from ``join``.
    """
    _mux(_Nowhere(), suffix, source, [segment], footage, window)


class _Nowhere(io.RawIOBase):
    """A file to which any number of bytes can be written, and which holds none."""

    def __init__(self) -> None:
        self._at = self._end = 0

    def write(self, data: Any) -> int:
        self._at += len(data)
        self._end = max(self._at, self._end)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def _muxer_for(suffix: str) -> str:
    return FORMATS[suffix.lower().removeprefix(".")]


def _mux(
    target: str | _Nowhere,
    suffix: str,
    source: Path | None,
    segments: Sequence[Segment],
    footage: Footage,
    window: Window,
) -> None:
    muxer = _muxer_for(suffix)
    try:
        with needing_space(), ExitStack() as stack:
            first = stack.enter_context(open_video(segments[0].path))
            given = None if source is None else stack.enter_context(open_video(source))
            encoded = video_stream_of(first)
            views = None if given is None else open_with_views(encoded, video_stream_of(given))
            if views is not None:
                encoded = video_stream_of(stack.enter_context(views))
            flags = {} if muxer == "matroska" else _mp4_flags(footage, given, faststart=isinstance(target, str))
            if views is not None:
                flags["strict"] = "unofficial"
            out = stack.enter_context(av.open(target, "w", format=muxer, options=flags))
            video, copies = _add_streams(out, encoded, given, footage)
            if given is not None:
                _copy_file_metadata(out, given, window)
                if window.begin is not None:
                    _shift_timecodes(out, given, segments[0].timings[0].pts * footage.time_base)
            sources = [_video_packets(video, segments, footage, window)]
            if given is not None:
                sources.append(copied_packets(given, copies, window))
            for _, _, _, packet in heapq.merge(*sources, key=lambda timed: timed[:3]):
                out.mux(packet)
    except av.FFmpegError as error:
        raise BrokenVideo(
            f"cannot be written as {suffix}: {error.strerror}; mkv may support it", "cannot be written"
        ) from error


def _mp4_flags(footage: Footage, given: InputContainer | None, *, faststart: bool) -> dict[str, str]:
    """Return muxer options; the movie timescale makes edit lists exact for all streams, if it fits into 31 bits."""
    bases = [stream.time_base for stream in given.streams if stream.time_base] if given is not None else []
    common = math.lcm(footage.time_base.denominator, *(base.denominator for base in bases))
    timescale = common if common < 2**31 else footage.time_base.denominator
    keys = "" if given is None else metadata_flag(given)
    flags = ("faststart" if faststart else "") + keys
    return {"movflags": flags, "movie_timescale": str(timescale)} if flags else {"movie_timescale": str(timescale)}


def _rounded_by(muxer: str, segments: Sequence[Segment], footage: Footage) -> Iterator[str]:
    if muxer != "matroska":
        return
    milliseconds = (timing.pts * footage.time_base * 1000 for segment in segments for timing in segment.timings)
    if any(time.denominator != 1 for time in milliseconds):
        yield "Matroska rounds timestamps to milliseconds; mp4 stores them exactly"


def _add_streams(
    out: OutputContainer, encoded: VideoStream, given: InputContainer | None, footage: Footage
) -> tuple[VideoStream, dict[int, Stream]]:
    """Add the video stream and copies of all other streams that the container supports, in the source's order."""
    if given is None:
        return _add_video(out, encoded, footage), {}
    copies: dict[int, Stream] = {}
    main = video_stream_of(given)
    video: VideoStream | None = None
    for stream in given.streams:
        if stream.index == main.index:
            video = _add_video(out, encoded, footage)
            describe(video, stream)
        elif (copy := add_copy(out, given, stream)) is not None:
            copies[stream.index] = copy
    assert video is not None
    return video, copies


def _add_video(out: OutputContainer, encoded: VideoStream, footage: Footage) -> VideoStream:
    video = out.add_stream_from_template(encoded, opaque=True)
    video.time_base = footage.time_base
    if footage.aspect is not None:
        video.codec_context.sample_aspect_ratio = footage.aspect
    video.set_display_matrix(footage.display_matrix)
    if encoded.codec_context.name == "hevc" and out.format.name != "matroska":
        video.codec_context.codec_tag = "hvc1"  # QuickTime does not play the other tag, hev1
    return video


def _copy_file_metadata(out: OutputContainer, given: InputContainer, window: Window) -> None:
    out.metadata.update({key: text for key, text in given.metadata.items() if key.lower() not in FILE_ONLY_METADATA})
    if chapters := list(window.chapters(given)):
        out.set_chapters(chapters)


def _shift_timecodes(out: OutputContainer, given: InputContainer, begin: Fraction) -> None:
    for part in (out, *out.streams):
        part.metadata.update(shifted_timecodes(part.metadata, video_stream_of(given), begin))


def _video_packets(
    video: VideoStream, segments: Sequence[Segment], footage: Footage, window: Window
) -> Iterator[Timed]:
    step = max(1, round(1 / footage.rate / footage.time_base))
    dts = iter(decoding_times(segments, step))
    timings = [timing for segment in segments for timing in segment.timings]
    done = 0
    for segment in segments:
        for packet, place in zip(packets_of(segment), segment.order, strict=True):
            at = done + place
            timing = timings[at]
            following = timings[at + 1].pts if at + 1 < len(timings) else timing.pts + step
            packet = _with_messages(packet, timing, video.codec_context.name)
            packet.pts, packet.dts = (window.shifted(ticks, footage.time_base) for ticks in (timing.pts, next(dts)))
            packet.duration = timing.duration or following - timing.pts
            packet.time_base, packet.stream = footage.time_base, video
            yield packet.dts * footage.time_base, 0, done, packet
        done += len(segment.timings)


def _with_messages(packet: av.Packet, timing: FrameTiming, codec: str) -> av.Packet:
    if not timing.messages:
        return packet
    data = with_messages(bytes(packet), bytes.fromhex(timing.messages), codec)
    changed = av.Packet(data)
    changed.is_keyframe = packet.is_keyframe
    return changed
