"""Segments and everything else of the source -> one file, without encoding anything again."""

from __future__ import annotations

import heapq
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import BrokenVideo, needing_space
from pipeline.video.container import OF_THE_FILE, address_of, demuxed, open_video, video_stream_of
from pipeline.video.options import FORMATS
from pipeline.video.probe import Footage
from pipeline.video.segments import Segment, decoding_times, packets_of
from pipeline.video.timecode import timecodes_moved
from pipeline.video.window import Window

# Of the file that was, not of the film.
_OF_THE_STREAM = ("BPS", "NUMBER_OF_", "_STATISTICS_", "DURATION", "encoder", "ENCODER", "alpha_mode")

Timed = tuple[Fraction, int, int, av.Packet]


def join(path: Path, source: Path | None, segments: Sequence[Segment], footage: Footage, window: Window) -> list[str]:
    """Write the film into ``path`` with all that lies beside it in ``source``; None for a folder of frames.

    Returns:
        What the container tells less exactly.

    Raises:
        BrokenVideo: if libav cannot write it.
        OutOfSpace: if the disk is full.
    """
    suffix = path.suffix.lower()
    format_name = FORMATS[suffix.removeprefix(".")]
    try:
        with needing_space(), ExitStack() as stack:
            first = stack.enter_context(open_video(segments[0].path))
            given = None if source is None else stack.enter_context(open_video(source))
            flags = {} if suffix == ".mkv" else {"movflags": "faststart", "movie_timescale": _timescale(footage, given)}
            out = stack.enter_context(av.open(address_of(path), "w", format=format_name, options=flags))
            film, copies = _add_streams(out, video_stream_of(first), given, footage)
            if given is not None:
                _copy_film_facts(out, given, window)
                if window.begin is not None:
                    _move_timecodes(out, given, segments[0].shown[0].pts * footage.time_base)
            sources = [_film_packets(film, segments, footage, window)]
            if given is not None:
                sources.append(_copied_packets(given, copies, window))
            for _, _, _, packet in heapq.merge(*sources, key=lambda timed: timed[:3]):
                out.mux(packet)
    except av.FFmpegError as error:
        raise BrokenVideo(f"cannot be written as {suffix}: {error.strerror}; try --container mkv") from error
    return list(_rounded_by(suffix, segments, footage))


def _timescale(footage: Footage, given: InputContainer | None) -> str:
    """Return ticks a second in which MP4 tells when each stream begins; whole ones for all, where that fits."""
    clocks = [stream.time_base for stream in given.streams if stream.time_base] if given is not None else []
    common = math.lcm(footage.time_base.denominator, *(clock.denominator for clock in clocks))
    return str(common if common < 2**31 else footage.time_base.denominator)


def _rounded_by(suffix: str, segments: Sequence[Segment], footage: Footage) -> Iterator[str]:
    """Tell what a container holds less exactly than the source."""
    if suffix != ".mkv":
        return
    milliseconds = (one.pts * footage.time_base * 1000 for segment in segments for one in segment.shown)
    if any(time.denominator != 1 for time in milliseconds):
        yield "Matroska rounds times to milliseconds; --container mp4 keeps them exact"


def _add_streams(
    out: OutputContainer, encoded: VideoStream, given: InputContainer | None, footage: Footage
) -> tuple[VideoStream, dict[int, Stream]]:
    """Add the film and copies of all other streams that the container holds, in the source's order."""
    if given is None:
        return _add_film(out, encoded, footage), {}
    copies: dict[int, Stream] = {}
    main = video_stream_of(given)
    film: VideoStream | None = None
    for stream in given.streams:
        if stream.index == main.index:
            film = _add_film(out, encoded, footage)
            _describe(film, stream)
        elif _is_cover(stream) and out.format.name == "matroska":
            _attach_cover(out, given, stream)
        elif not _is_told_by_metadata(stream) and _holds(out.format.name, stream):
            copies[stream.index] = _add_copy(out, stream)
    assert film is not None
    return film, copies


def _add_film(out: OutputContainer, encoded: VideoStream, footage: Footage) -> VideoStream:
    film = out.add_stream_from_template(encoded, opaque=True)
    film.time_base = footage.time_base
    if footage.aspect is not None:
        film.codec_context.sample_aspect_ratio = footage.aspect
    film.set_display_matrix(footage.display_matrix)
    if encoded.codec_context.name == "hevc" and out.format.name != "matroska":
        film.codec_context.codec_tag = "hvc1"  # the one of its two names that QuickTime plays
    return film


def _add_copy(out: OutputContainer, stream: Stream) -> Stream:
    copy = out.add_stream_from_template(stream, opaque=True)
    _describe(copy, stream)
    return copy


def _describe(copy: Stream, stream: Stream) -> None:
    copy.metadata.update({key: text for key, text in stream.metadata.items() if not key.startswith(_OF_THE_STREAM)})
    copy.disposition = stream.disposition


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _attach_cover(out: OutputContainer, given: InputContainer, stream: Stream) -> None:
    """Add a cover as Matroska wants it, which would take the stream for a second film."""
    with open_video(Path(given.name)) as again:
        picture = next((bytes(packet) for packet in demuxed(again, [again.streams[stream.index]])), b"")
    kind = {"mjpeg": "jpeg"}.get(stream.codec_context.name, stream.codec_context.name)
    name = stream.metadata.get("filename", f"cover.{kind}")
    out.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), picture)


def _is_told_by_metadata(stream: Stream) -> bool:
    """Tell whether it is a timecode track, which libav writes anew from the film's metadata, and not twice."""
    return stream.type == "data" and "timecode" in stream.metadata


def _holds(format_name: str, stream: Stream) -> bool:
    """Tell whether a container takes a stream: only writing its head shows it."""
    try:
        with av.open(io.BytesIO(), "w", format=format_name) as trial:
            _add_copy(trial, stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _copy_film_facts(out: OutputContainer, given: InputContainer, window: Window) -> None:
    out.metadata.update({key: text for key, text in given.metadata.items() if key.lower() not in OF_THE_FILE})
    if chapters := list(window.chapters(given)):
        out.set_chapters(chapters)


def _move_timecodes(out: OutputContainer, given: InputContainer, begin: Fraction) -> None:
    for told in (out, *out.streams):
        told.metadata.update(timecodes_moved(told.metadata, video_stream_of(given), begin))


def _film_packets(film: VideoStream, segments: Sequence[Segment], footage: Footage, window: Window) -> Iterator[Timed]:
    step = max(1, round(1 / footage.rate / footage.time_base))
    dts = iter(decoding_times(segments, step))
    shown = [one for segment in segments for one in segment.shown]
    done = 0
    for segment in segments:
        for packet, place in zip(packets_of(segment), segment.order, strict=True):
            at = done + place
            following = shown[at + 1].pts if at + 1 < len(shown) else shown[at].pts + step
            packet.pts, packet.dts = (window.moved(ticks, footage.time_base) for ticks in (shown[at].pts, next(dts)))
            packet.duration = shown[at].duration or following - shown[at].pts
            packet.time_base, packet.stream = footage.time_base, film
            yield packet.dts * footage.time_base, 0, done, packet
        done += len(segment.shown)


def _copied_packets(given: InputContainer, copies: dict[int, Stream], window: Window) -> Iterator[Timed]:
    """Yield the packets of the other streams as they are, in the order of the file."""
    wanted = [stream for stream in given.streams if stream.index in copies and stream.type != "attachment"]
    if not wanted:
        return
    latest = Fraction(-(10**9))
    for number, packet in enumerate(demuxed(given, wanted)):
        if packet.size and _is_cover(packet.stream):  # it has no time
            packet.pts = packet.dts = 0
            packet.stream = copies[packet.stream.index]
            yield latest, 1, number, packet
            continue
        at = packet.dts if packet.dts is not None else packet.pts
        if at is None:
            continue
        seconds = at * packet.time_base
        if not window.holds(seconds):
            continue
        base = packet.time_base
        packet.pts = None if packet.pts is None else window.moved(packet.pts, base)
        packet.dts = None if packet.dts is None else window.moved(packet.dts, base)
        packet.stream = copies[packet.stream.index]
        latest = max(latest, seconds - window.shift)
        yield latest, 1, number, packet
