"""Read the contents of a video file: decode the video, hash the packets of all other streams."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import RefusedVideo
from pipeline.video.container import FILE_ONLY_METADATA, demuxed, open_video, video_stream_of
from pipeline.video.contents import MAIN_VIDEO, Chapter, ContainerHeader, Contents, Timestamps, Track, VideoProperties
from pipeline.video.damage import DAMAGED
from pipeline.video.frame_facts import DOLBY_VISION, facts_of_frame, facts_of_stream
from pipeline.video.frame_tags import Tags, colour_tags, hdr_tags, rotation_of
from pipeline.video.frame_times import FrameTimes, increasing
from pipeline.video.options import VideoOptions
from pipeline.video.sample_entry import dolby_vision_of
from pipeline.video.sources import FrameFolder
from pipeline.video.timecode import shifted_timecodes
from pipeline.video.window import Window, window_of

# Metadata of the muxer and the encoder, which say nothing about the content; an UMID numbers an MXF file.
_STREAM_ONLY_METADATA = frozenset(
    {"alpha_mode", "creation_time", "duration", "encoder", "file_package_umid", "handler_name", "language", "vendor_id"}
)
_LAST_ZEROS = re.compile(r"(?:(\.\d*[1-9])|\.)0+(?=[-+/]|$)")
_STATISTICS = ("_statistics", "bps", "number_of_")


def read_header(container: InputContainer, video: VideoStream, window: Window = Window()) -> ContainerHeader:  # noqa: B008  (frozen)
    """Return everything known without reading packets; a stream that stores chapters is returned as chapters only."""
    tracks = [_track(stream) for stream in container.streams if stream.discard != Discard.all]
    return ContainerHeader(
        tracks=tuple(
            replace(track, kind=MAIN_VIDEO, codec="") if track.index == video.index else track for track in tracks
        ),
        chapters=tuple(map(_chapter, window.chapters(container))),
        metadata=_comparable(container.metadata, FILE_ONLY_METADATA),
    )


def read_contents(path: Path, *, start: float = 0.0, duration: float | None = None) -> Contents:
    """Read a file to its end: frames are decoded, other packets hashed. Corrupt frames are skipped.

    Args:
        path: The file.
        start: Seconds to skip.
        duration: Seconds to read; None for all.

    Raises:
        BrokenVideo: if libav cannot read it.
        RefusedVideo: if no frame can be decoded.
    """
    with open_video(path) as container:
        stream = video_stream_of(container)
        stream.thread_type = "AUTO"
        window = window_of(Fraction(container.start_time or 0, av.time_base), start, duration)
        header = read_header(container, stream, window)
        video = _VideoReader(stream, window, FrameTimes(container))
        packets = {other.index: _PacketReader(window) for other in container.streams}
        for packet in demuxed(container, [other for other in container.streams if other.type != "attachment"]):
            if packet.size:
                packets[packet.stream.index].read(packet)
            if packet.stream.index == stream.index:
                video.read(packet)
        tracks = tuple(packets[track.index].filled(track) for track in header.tracks)
        properties = video.properties()
        if window.begin is not None:
            shift = partial(shifted_timecodes, stream=stream, begin=properties.timestamps.start + window.shift)
            tracks = tuple(replace(track, metadata=shift(track.metadata)) for track in tracks)
            header = replace(header, metadata=shift(header.metadata))
        return Contents(replace(header, tracks=tracks), properties)


def read_frames(folder: Path, options: VideoOptions) -> Contents:
    """Read a folder of frames to its end, as a video without other streams or metadata.

    Args:
        folder: Holds the image files.
        options: Of these ``fps``, ``start`` and ``duration`` are used.

    Raises:
        BrokenVideo: for an image that cannot be read.
        RefusedVideo: if there are none, or if their sizes differ.
    """
    source = FrameFolder(folder, options)
    base, window = source.footage.time_base, window_of(Fraction(0), options.start, options.duration)
    inside = (frame.pts for frame in source.frames() if window.contains(frame.pts * base))
    video = VideoProperties(
        size=source.footage.size,
        timestamps=Timestamps(base, tuple(window.shifted(pts, base) for pts in inside)),
        last_duration=base,
        aspect=Fraction(1),
        rotation="0 degrees",
        tags={},
    )
    return Contents(ContainerHeader((Track(0, MAIN_VIDEO, "", None, {}, frozenset()),), (), {}), video)


class _VideoReader:
    """Collects timestamps and properties of frames, decoded from the last key frame before the window on."""

    def __init__(self, stream: VideoStream, window: Window, times: FrameTimes) -> None:
        assert stream.time_base is not None
        self._times = times
        self._stream, self._time_base, self._window = stream, stream.time_base, window
        self._waiting: list[av.Packet] = []
        self._previous: int | None = None
        self._ticks: list[int] = []
        self._first: av.VideoFrame | None = None
        self._last: av.VideoFrame | None = None
        self._following: int | None = None
        self._stored_last: int | None = None
        self._durations: set[int] = set()
        self._facts = _FrameFacts()

    def read(self, packet: av.Packet) -> None:
        if packet.pts is not None:
            self._stored_last = packet.pts
            self._durations.add(packet.duration or 0)
        pts = packet.pts if self._times.are_stored else None
        early = pts is not None and not self._window.reached(pts * self._time_base)
        if early and packet.is_keyframe:
            self._waiting.clear()
        self._waiting.append(packet)
        if not early:
            for one in self._waiting:
                self._times.feed(one)
                self._decode(one.decode)
            self._waiting.clear()

    def _decode(self, decode: Callable[[], list[av.VideoFrame]]) -> None:
        try:
            frames = decode()
        except (*DAMAGED, av.error.EOFError):
            self._times.drop()
            return
        for frame in frames:
            pts = self._previous = increasing(self._times.of(frame), self._previous)
            if self._window.contains(pts * self._time_base):
                self._facts.add(len(self._ticks), frame)
                self._ticks.append(self._window.shifted(pts, self._time_base))
                self._first, self._last = self._first or frame, frame
            elif self._last is not None and self._following is None:
                self._following = self._window.shifted(pts, self._time_base)

    def properties(self) -> VideoProperties:
        self._decode(self._stream.decode)
        first, last = self._first, self._last
        if first is None or last is None:
            raise RefusedVideo("holds no frame that can be decoded", "damaged")
        return VideoProperties(
            size=(first.width, first.height),
            timestamps=Timestamps(self._time_base, tuple(self._ticks)),
            last_duration=self._duration_of(last),
            aspect=self._stream.sample_aspect_ratio or Fraction(1),
            rotation=rotation_of(first),
            tags=colour_tags(first) | hdr_tags(first) | self._facts_of_stream(first) | self._facts.summary(),
        )

    def _facts_of_stream(self, first: av.VideoFrame) -> Tags:
        dolby_vision = dolby_vision_of(self._stream)
        layers = {} if dolby_vision is None else {DOLBY_VISION: f"profile {dolby_vision.profile}"}
        return {**facts_of_stream(first), **layers}

    def _duration_of(self, last: av.VideoFrame) -> Fraction | None:
        """Return the last frame's duration: up to the first frame behind the window, else as the file states it.

        With reordered frames, MP4 stores the time between frames that are neighbours in decoding order. That is the
        duration for display only if all frames are equally long.
        """
        if self._following is not None:
            return (self._following - self._ticks[-1]) * self._time_base
        is_stated = last.pts == self._stored_last or max(self._durations) - min(self._durations) <= 1
        return last.duration * self._time_base if last.duration and is_stated else None


class _FrameFacts:
    """Counts and hashes what frames say beside their pixels."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = defaultdict(hashlib.sha256)
        self._frames: dict[str, set[int]] = defaultdict(set)

    def add(self, number: int, frame: av.VideoFrame) -> None:
        for name, content in facts_of_frame(frame):
            self._hashes[name].update(number.to_bytes(8, "little") + content)
            self._frames[name].add(number)

    def summary(self) -> Tags:
        """Return the number of frames and a hash by name."""
        return {
            name: f"in {len(self._frames[name])} frames ({digest.hexdigest()[:12]})"
            for name, digest in self._hashes.items()
        }


class _PacketReader:
    """Counts and hashes the packets of one stream."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._hash = hashlib.sha256()
        self._ticks: list[int] = []
        self._count = 0
        self._first = b""
        self._time_base = Fraction(1)

    def read(self, packet: av.Packet) -> None:
        stored, self._time_base = packet.dts if packet.dts is not None else packet.pts, packet.time_base
        if stored is not None and not self._window.contains(stored * self._time_base):
            return
        data = _payload(packet)
        self._hash.update(data)
        self._first = self._first or data
        self._count += 1
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is not None:
            begin = self._window.shifted(pts, self._time_base)
            self._ticks += [begin, begin + (packet.duration or 0)] if packet.stream.type == "subtitle" else [begin]

    def filled(self, track: Track) -> Track:
        if not self._count:
            return track
        timestamps = Timestamps(self._time_base, tuple(self._ticks))
        digest = self._hash.hexdigest()
        return replace(track, packets=self._count, sha256=digest, timestamps=timestamps, first=self._first)


def _payload(packet: av.Packet[Stream]) -> bytes:
    """Return a packet's bytes; of AAC without the ADTS header, which only broadcast streams have."""
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
        metadata=_comparable(stream.metadata, _STREAM_ONLY_METADATA),
        flags=frozenset(flag.name for flag in Disposition if flag & stream.disposition and flag.name),
        sha256=hashlib.sha256(data).hexdigest() if data else "",
    )


def _chapter(chapter: Any) -> Chapter:
    base = chapter["time_base"] or Fraction(1, av.time_base)
    return Chapter(chapter["start"] * base, base, chapter["metadata"].get("title", ""))


def _comparable(metadata: Mapping[str, str], ignored: Set[str]) -> dict[str, str]:
    """Return metadata with unified keys: Matroska writes capitals, and QuickTime ``name`` for a stream's title."""
    lowered = {{"name": "title"}.get(key.lower(), key.lower()): text for key, text in metadata.items()}
    if "location" in lowered:  # degrees (ISO 6709), which MP4 writes with four decimals
        lowered["location"] = _LAST_ZEROS.sub(r"\1", lowered["location"])
    return {key: text for key, text in lowered.items() if key not in ignored and not key.startswith(_STATISTICS)}
