"""Reads what a video file holds: decodes the film, hashes the packets of all the rest."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideData
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import RefusedVideo
from pipeline.video.container import OF_THE_FILE, demuxed, open_video, video_stream_of
from pipeline.video.contents import FILM, Chapter, Contents, Head, Times, Track, VideoFrames
from pipeline.video.options import VideoOptions
from pipeline.video.sources import FrameFolder
from pipeline.video.timecode import timecodes_moved
from pipeline.video.window import Window, window_of

_UNSAID = 2  # by ISO/IEC 23091-2
# What tells of the writer and the encoder, not of the film.
_OF_THE_STREAM = {"alpha_mode", "encoder", "vendor_id", "handler_name", "creation_time", "duration", "language"}
_STATISTICS = ("_statistics", "bps", "number_of_")


def read_head(container: InputContainer, film: VideoStream, window: Window = Window()) -> Head:  # noqa: B008  (frozen)
    """Return what is known without reading packets; of chapters stored as a stream only the chapters."""
    tracks = [_track(stream) for stream in container.streams if stream.discard != Discard.all]
    return Head(
        tracks=tuple(replace(track, kind=FILM, codec="") if track.index == film.index else track for track in tracks),
        chapters=tuple(map(_chapter, window.chapters(container))),
        metadata=_facts(container.metadata, OF_THE_FILE),
    )


def read_contents(path: Path, *, start: float = 0.0, duration: float | None = None) -> Contents:
    """Read a file to its end: frames are decoded, all else is hashed. Damage is passed over.

    Args:
        path: The file.
        start: Seconds of the film to leave out.
        duration: Seconds of it to read; None for all.

    Raises:
        BrokenVideo: if libav cannot make sense of it.
        RefusedVideo: if it holds no frame that can be decoded.
    """
    with open_video(path) as container:
        stream = video_stream_of(container)
        stream.thread_type = "AUTO"
        window = window_of(Fraction(container.start_time or 0, av.time_base), start, duration)
        head = read_head(container, stream, window)
        film = _FilmReader(stream, window)
        packets = {other.index: _PacketReader(window) for other in container.streams}
        for packet in demuxed(container, [other for other in container.streams if other.type != "attachment"]):
            if packet.size:
                packets[packet.stream.index].read(packet)
            if packet.stream.index == stream.index:
                film.read(packet)
        tracks = tuple(packets[track.index].filled(track) for track in head.tracks)
        shown = film.film()
        if window.begin is not None:
            moved = partial(timecodes_moved, stream=stream, begin=shown.times.start + window.shift)
            tracks = tuple(replace(track, metadata=moved(track.metadata)) for track in tracks)
            head = replace(head, metadata=moved(head.metadata))
        return Contents(replace(head, tracks=tracks), shown)


def read_frames(folder: Path, options: VideoOptions) -> Contents:
    """Read a folder of frames to its end, as a film with nothing beside it.

    Args:
        folder: Holds the pictures.
        options: ``fps``, and by ``start`` and ``duration`` the part to read.

    Raises:
        BrokenVideo: for a picture that cannot be read.
        RefusedVideo: if there are none, or not of one size.
    """
    frames = FrameFolder(folder, options)
    tick, window = frames.footage.time_base, window_of(Fraction(0), options.start, options.duration)
    shown = (shot.pts for shot in frames.shots() if window.holds(shot.pts * tick))
    times = Times(tick, tuple(window.moved(pts, tick) for pts in shown))
    film = VideoFrames(frames.footage.size, times, last=tick, aspect=Fraction(1), turn="0 degrees", facts={})
    return Contents(Head((Track(0, FILM, "", None, {}, frozenset()),), (), {}), film)


class _FilmReader:
    """Takes down frames, decoded from the last key frame before the window on."""

    def __init__(self, stream: VideoStream, window: Window) -> None:
        assert stream.time_base is not None
        self._stream, self._tick, self._window = stream, stream.time_base, window
        self._waiting: list[av.Packet] = []
        self._ticks: list[int] = []
        self._first: av.VideoFrame | None = None
        self._last: av.VideoFrame | None = None
        self._following: int | None = None
        self._stored_last: int | None = None
        self._spans: set[int] = set()

    def read(self, packet: av.Packet) -> None:
        if packet.pts is not None:
            self._stored_last = packet.pts
            self._spans.add(packet.duration or 0)
        early = packet.pts is not None and not self._window.reached(packet.pts * self._tick)
        if early and packet.is_keyframe:
            self._waiting.clear()
        self._waiting.append(packet)
        if not early:
            for one in self._waiting:
                self._decode(one.decode)
            self._waiting.clear()

    def _decode(self, decode: Callable[[], list[av.VideoFrame]]) -> None:
        try:
            frames = decode()
        except (av.error.InvalidDataError, av.error.EOFError):
            return
        for frame in frames:
            pts = frame.pts if frame.pts is not None else frame.dts
            pts = pts if pts is not None else self._ticks[-1] + 1 if self._ticks else 0
            if self._window.holds(pts * self._tick):
                self._ticks.append(self._window.moved(pts, self._tick))
                self._first, self._last = self._first or frame, frame
            elif self._last is not None and self._following is None:
                self._following = self._window.moved(pts, self._tick)

    def film(self) -> VideoFrames:
        self._decode(self._stream.decode)
        first, last, tick = self._first, self._last, self._tick
        if first is None or last is None:
            raise RefusedVideo("holds no frame that can be decoded")
        return VideoFrames(
            size=(first.width, first.height),
            times=Times(tick, tuple(self._ticks)),
            last=self._span_of(last),
            aspect=self._stream.sample_aspect_ratio or Fraction(1),
            turn=_turn(first),
            facts=_colours(first) | _hdr(first),
        )

    def _span_of(self, last: av.VideoFrame) -> Fraction | None:
        """Return how long the last frame stays: until the one behind the window, or as the file says.

        Of frames that are stored in another order than shown, an MP4 tells the time between two that are stored one
        behind the other: that is how long they stay only if all stay equally long.
        """
        if self._following is not None:
            return (self._following - self._ticks[-1]) * self._tick
        told = last.pts == self._stored_last or max(self._spans) - min(self._spans) <= 1
        return last.duration * self._tick if last.duration and told else None


class _PacketReader:
    """Counts and hashes the packets of one stream."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._hash = hashlib.sha256()
        self._ticks: list[int] = []
        self._count = 0
        self._first = b""
        self._tick = Fraction(1)

    def read(self, packet: av.Packet) -> None:
        stored, self._tick = packet.dts if packet.dts is not None else packet.pts, packet.time_base
        if stored is not None and not self._window.holds(stored * self._tick):
            return
        data = _payload(packet)
        self._hash.update(data)
        self._first = self._first or data
        self._count += 1
        shown = packet.pts if packet.pts is not None else packet.dts
        if shown is not None:
            begin = self._window.moved(shown, self._tick)
            self._ticks += [begin, begin + (packet.duration or 0)] if packet.stream.type == "subtitle" else [begin]

    def filled(self, track: Track) -> Track:
        if not self._count:
            return track
        times = Times(self._tick, tuple(self._ticks))
        return replace(track, packets=self._count, sha256=self._hash.hexdigest(), times=times, first=self._first)


def _payload(packet: av.Packet[Stream]) -> bytes:
    """Return a packet's bytes; of AAC without the ADTS header that broadcast streams have and files have not."""
    data = bytes(packet)
    aac = packet.stream.type == "audio" and packet.stream.codec_context.name == "aac"
    if aac and len(data) > 9 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        return data[7:] if data[1] & 1 else data[9:]
    return data


def _track(stream: Stream) -> Track:
    data = stream.data if stream.type == "attachment" else b""  # type: ignore[attr-defined]
    return Track(
        index=stream.index,
        kind=stream.type,
        codec="" if stream.codec_context is None else stream.codec_context.codec.canonical_name,
        language=None if stream.language == "und" else stream.language,
        metadata=_facts(stream.metadata, _OF_THE_STREAM),
        flags=frozenset(flag.name for flag in Disposition if flag & stream.disposition and flag.name),
        sha256=hashlib.sha256(data).hexdigest() if data else "",
    )


def _chapter(chapter: Any) -> Chapter:
    base = chapter["time_base"] or Fraction(1, av.time_base)
    return Chapter(chapter["start"] * base, base, chapter["metadata"].get("title", ""))


def _facts(metadata: Mapping[str, str], ignored: Set[str]) -> dict[str, str]:
    """Return metadata by lower-case names: Matroska writes capitals, and QuickTime ``name`` for a stream's title."""
    lowered = {{"name": "title"}.get(key.lower(), key.lower()): text for key, text in metadata.items()}
    return {key: text for key, text in lowered.items() if key not in ignored and not key.startswith(_STATISTICS)}


def _turn(frame: av.VideoFrame) -> str:
    matrix = _side_data(frame, SideData.DISPLAYMATRIX)
    a, b, _, c, d = struct.unpack("9i", matrix)[:5] if matrix else (1, 0, 0, 0, 1)
    return f"{frame.rotation} degrees" + (", mirrored" if a * d < b * c else "")


def _colours(frame: av.VideoFrame) -> dict[str, tuple[float, ...]]:
    tags = {"primaries": frame.color_primaries, "transfer": frame.color_trc}
    if not (frame.format.is_rgb or frame.format.has_palette):  # which no film is any more, once it is encoded
        tags["matrix"] = frame.colorspace
        if frame.color_range:
            tags["range"] = frame.color_range
    return {f"colour {name}": (tag,) for name, tag in tags.items() if tag != _UNSAID or name == "range"}


def _hdr(frame: av.VideoFrame) -> dict[str, tuple[float, ...]]:
    facts: dict[str, tuple[float, ...]] = {}
    if mastering := _side_data(frame, SideData.MASTERING_DISPLAY_METADATA):
        numbers = struct.unpack("20i", mastering[:80])
        fractions = zip(numbers[0::2], numbers[1::2], strict=True)
        facts["mastering display"] = tuple(round(top / bottom, 5) if bottom else 0.0 for top, bottom in fractions)
    if light := _side_data(frame, SideData.CONTENT_LIGHT_LEVEL):
        facts["content light"] = struct.unpack("2I", light[:8])
    return facts


def _side_data(frame: av.VideoFrame, kind: SideData) -> bytes:
    return bytes(frame.side_data[kind]) if kind in frame.side_data else b""
