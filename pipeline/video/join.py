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
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import BrokenVideo, needing_space
from pipeline.video.container import FILE_ONLY_METADATA, address_of, demuxed, open_video, video_stream_of
from pipeline.video.container_choice import supports
from pipeline.video.frame_facts import with_messages
from pipeline.video.metadata_keys import metadata_flag
from pipeline.video.options import FORMATS
from pipeline.video.probe import Footage
from pipeline.video.sample_entry import hide_apple_views, open_with_views
from pipeline.video.segments import FrameTiming, Segment, decoding_times, packets_of
from pipeline.video.sound import add_pcm, decoded_samples, is_decodable
from pipeline.video.timecode import shifted_timecodes
from pipeline.video.window import Window

# Stream metadata that describe the source file rather than the content.
_STREAM_ONLY_METADATA = ("BPS", "NUMBER_OF_", "_STATISTICS_", "DURATION", "encoder", "ENCODER", "alpha_mode")

# Seconds of the decoding timestamp, rank among equal ones, number, packet.
Timed = tuple[Fraction, int, int, av.Packet]


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
                sources.append(_copied_packets(given, copies, window))
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
            _describe(video, stream)
        elif _is_cover(stream) and out.format.name == "matroska":
            _attach_cover(out, given, stream)
        elif not _is_timecode(stream) and supports(out.format.name, stream):
            copies[stream.index] = _add_copy(out, stream)
        elif isinstance(stream, AudioStream) and is_decodable(stream):
            copies[stream.index] = add_pcm(out, stream)
            _describe(copies[stream.index], stream)
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


def _add_copy(out: OutputContainer, stream: Stream) -> Stream:
    copy = out.add_stream_from_template(stream, opaque=True)
    _describe(copy, stream)
    return copy


def _describe(copy: Stream, stream: Stream) -> None:
    copy.metadata.update(
        {key: text for key, text in stream.metadata.items() if not key.startswith(_STREAM_ONLY_METADATA)}
    )
    copy.disposition = stream.disposition


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _attach_cover(out: OutputContainer, given: InputContainer, stream: Stream) -> None:
    """Add a cover image as an attachment: Matroska would make a second video of the stream."""
    with open_video(Path(given.name)) as again:
        image = next((bytes(packet) for packet in demuxed(again, [again.streams[stream.index]])), b"")
    kind = {"mjpeg": "jpeg"}.get(stream.codec_context.name, stream.codec_context.name)
    name = stream.metadata.get("filename", f"cover.{kind}")
    out.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), image)


def _is_timecode(stream: Stream) -> bool:
    """Return whether it is a timecode track, which libav generates from the video's metadata."""
    return stream.type == "data" and "timecode" in stream.metadata


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


def _copied_packets(given: InputContainer, copies: dict[int, Stream], window: Window) -> Iterator[Timed]:
    """Yield the packets of the other streams, in the order of the file."""
    wanted = [stream for stream in given.streams if stream.index in copies and stream.type != "attachment"]
    if not wanted:
        return
    latest = Fraction(-(10**9))
    ends: dict[int, int] = {}
    decoded: dict[int, int] = {}
    for number, packet in enumerate(demuxed(given, wanted)):
        if packet.size and _is_cover(packet.stream):  # it has no timestamp
            packet.pts = packet.dts = 0
            packet.stream = copies[packet.stream.index]
            yield latest, 1, number, packet
            continue
        at = packet.dts if packet.dts is not None else packet.pts
        if at is not None and not window.contains(at * packet.time_base):
            continue
        seconds = latest + window.shift if at is None else at * packet.time_base
        if isinstance(packet.stream, AudioStream) and _is_pcm_of(copies[packet.stream.index], packet.stream):
            latest = max(latest, seconds - window.shift)
            pcm = _pcm_packets(packet, packet.stream, copies[packet.stream.index], window, ends)
            yield from ((latest, 1, number, samples) for samples in pcm)
            continue
        if at is None:
            continue
        base = packet.time_base
        packet.pts = None if packet.pts is None else window.shifted(packet.pts, base)
        packet.dts = None if packet.dts is None else window.shifted(packet.dts, base)
        _delay(packet, decoded)
        packet.stream = copies[packet.stream.index]
        latest = max(latest, seconds - window.shift)
        yield latest, 1, number, packet


def _delay(packet: av.Packet, decoded: dict[int, int]) -> None:
    """Delay a packet to behind the last of its stream, as every container demands; damaged files have others."""
    if packet.dts is None:
        return
    index = packet.stream.index
    packet.dts = max(packet.dts, decoded.get(index, packet.dts - 1) + 1)
    packet.pts = None if packet.pts is None else max(packet.pts, packet.dts)
    decoded[index] = packet.dts


def _is_pcm_of(copy: Stream, stream: AudioStream) -> bool:
    """Return whether a stream of the result holds the decoded samples of the source's."""
    return copy.codec_context.codec.canonical_name != stream.codec_context.codec.canonical_name


def _pcm_packets(
    packet: av.Packet, stream: AudioStream, pcm: Stream, window: Window, ends: dict[int, int]
) -> Iterator[av.Packet]:
    """Decode a packet and yield its samples; a start rounded to the source's ticks continues where the last ended."""
    assert isinstance(pcm, AudioStream)
    if not packet.size and window.stop is not None:
        return
    for frame in decoded_samples(packet, stream):
        assert frame.time_base is not None
        end = ends.get(stream.index)
        start = end if frame.pts is None else window.shifted(frame.pts, frame.time_base)
        tick = packet.time_base / frame.time_base
        frame.pts = end if end is not None and (start is None or abs(start - end) <= tick) else start or 0
        ends[stream.index] = frame.pts + frame.samples
        yield from pcm.encode(frame)
