"""Encode a video in segments that are each complete on disk, so that a killed run loses one of them at most.

    FOLDER/00000.mkv, 00000.json, 00001.mkv, ...

Each segment has an encoder of its own and starts with a keyframe, so its bytes depend on its frames only. Its
timestamps are frame numbers; the JSON file holds the presentation timestamps, exact in the source's time base. A
segment is complete once its JSON file exists: that is written last, after the video was read back.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from pipeline.errors import BrokenVideo, needing_space
from pipeline.hashing import sha256_of
from pipeline.video.colour import YUV
from pipeline.video.container import address_of, open_video, video_stream_of
from pipeline.video.encoder import add_video_stream
from pipeline.video.notes import Note
from pipeline.video.options import VideoOptions
from pipeline.video.planes import pix_fmt_of
from pipeline.video.probe import Footage
from stages.atomic import flush

# Frames by which an encoder's reordering may delay the first one; no standard allows more than 16.
_LONGEST_DELAY = 16


@dataclass(frozen=True)
class FrameTiming:
    """What is kept of a frame of the source beside its pixels.

    Attributes:
        pts: Presentation timestamp in ticks.
        duration: In ticks.
        damaged: It was damaged in the source.
        messages: Its SEI messages, in hexadecimal.
    """

    pts: int
    duration: int
    damaged: bool = False
    messages: str = ""


@dataclass(frozen=True)
class Segment:
    """A segment of encoded video.

    Attributes:
        path: The Matroska file.
        timings: One per frame, in display order.
        order: For each packet in coded order, its index in ``timings``.
        defects: Of the source, up to the segment's end.
        sha256: Of the file.
    """

    path: Path
    timings: tuple[FrameTiming, ...]
    order: tuple[int, ...]
    defects: tuple[Note, ...]
    sha256: str


_FIELDS = {field.name for field in dataclasses.fields(Segment)}


def write_segment(
    path: Path,
    frames: Iterable[tuple[av.VideoFrame, FrameTiming]],
    footage: Footage,
    layout: YUV,
    scale: int,
    options: VideoOptions,
) -> tuple[tuple[FrameTiming, ...], tuple[int, ...]]:
    """Encode frames into a file; return their timings, and the coded order as indices into the timings.

    Raises:
        BrokenVideo: if the encoder fails, or if reading back finds another number of frames.
        OutOfSpace: if the disk is full.
    """
    timings: list[FrameTiming] = []
    try:
        with needing_space(), av.open(address_of(path), "w", format="matroska") as container:
            stream = add_video_stream(container, footage, layout, scale, options)
            for frame, timing in frames:
                frame.pts, frame.time_base = len(timings), 1 / footage.rate
                timings.append(timing)
                container.mux(_with_decoding_times(stream.encode(frame)))
            container.mux(_with_decoding_times(stream.encode(None)))
    except av.FFmpegError as error:
        width, height = (side * scale for side in footage.size)
        what = f"cannot be encoded by {options.codec} with {width} x {height} pixels in {pix_fmt_of(layout)}"
        raise BrokenVideo(
            f"{what}: {error.strerror}; another codec or pix_fmt may support them", "cannot be written"
        ) from error
    order = tuple(_coded_order(path))
    if sorted(order) != list(range(len(timings))):
        raise BrokenVideo(f"{options.codec} wrote {len(order)} frames, expected {len(timings)}")
    return tuple(timings), order


def _with_decoding_times(packets: list[av.Packet]) -> list[av.Packet]:
    """Mend the decoding times that x265 makes of uninitialised memory in streams shorter than its delay.

    Such a stream leaves the encoder at once, at its end. Matroska refuses some of these numbers, and stores none.
    """
    for place, packet in enumerate(packets):
        if packet.pts is not None and packet.dts is not None and not 0 <= packet.pts - packet.dts <= _LONGEST_DELAY:
            packet.dts = place - _LONGEST_DELAY
    return packets


def commit(
    made: Path, place: Path, timings: tuple[FrameTiming, ...], order: tuple[int, ...], defects: Iterable[Note]
) -> Segment:
    """Flush a segment to disk and move it to its place, then write its JSON file.

    Args:
        made: The segment, at ``working_path``.
        place: Its ``segment_path``.
        timings: From ``write_segment``.
        order: Likewise.
        defects: Of the source, up to the segment's end.

    Raises:
        OutOfSpace: if the disk is full.
    """
    segment = Segment(place, timings, order, tuple(defects), sha256_of(made))
    record = made.with_suffix(".json")
    with needing_space():
        flush(made)
        made.replace(place)
        record.write_text(json.dumps(dataclasses.asdict(segment) | {"path": place.name}), encoding="utf-8")
        flush(record)
        record.replace(place.with_suffix(".json"))
    return segment


def segment_path(folder: Path, index: int) -> Path:
    """Return the file of a segment."""
    return folder / f"{index:05}.mkv"


def working_path(place: Path) -> Path:
    """Return where this process writes a segment: another, on a machine that was given up, may write the same one."""
    return place.with_name(f"{place.stem}.{platform.node()}.{os.getpid()}{place.suffix}")


def whole_segments(folder: Path) -> Iterator[Segment]:
    """Yield the complete segments up to the first that is missing, damaged, or recorded with other fields."""
    index = 0
    while (segment := whole_segment(folder, index)) is not None:
        yield segment
        index += 1


def whole_segment(folder: Path, index: int) -> Segment | None:
    """Return a complete segment; None if it is missing, damaged, or recorded with other fields."""
    path = segment_path(folder, index)
    if not path.exists() or not path.with_suffix(".json").exists():
        return None
    fields = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if fields.keys() != _FIELDS or fields["sha256"] != sha256_of(path):
        return None
    timings = tuple(FrameTiming(**one) for one in fields["timings"])
    defects = tuple((what, where) for what, where in fields["defects"])
    return Segment(path, timings, tuple(fields["order"]), defects, fields["sha256"])


def packets_of(segment: Segment) -> Iterator[av.Packet]:
    """Yield the packets of a segment in coded order; their timestamps are frame numbers."""
    with open_video(segment.path) as container:
        for packet in container.demux(video_stream_of(container)):
            if packet.size:
                yield packet


def _coded_order(path: Path) -> list[int]:
    """Return each packet's position in display order."""
    with open_video(path) as container:
        stored = [packet.pts for packet in container.demux(video_stream_of(container)) if packet.size]
    places = {pts: place for place, pts in enumerate(sorted(pts for pts in stored if pts is not None))}
    return [-1 if pts is None else places[pts] for pts in stored]


def decoding_times(segments: Iterable[Segment], first_gap: int) -> list[int]:
    """Return a decoding timestamp for each packet, none later than its presentation timestamp.

    These are the presentation timestamps in order, delayed by the encoder's reordering depth; the first ones lie before
    the video's start, ``first_gap`` ticks apart.
    """
    presented: list[int] = []
    delay = 0
    for segment in segments:
        delay = max([delay, *(coded - place for coded, place in enumerate(segment.order))])
        presented += [timing.pts for timing in segment.timings]
    before = [presented[0] - first_gap * early for early in range(delay, 0, -1)]
    return (before + presented)[: len(presented)]


def notes_on_damage(segments: Iterable[Segment], footage: Footage) -> Iterator[Note]:
    """Yield a note for each run of damaged frames."""
    began: Fraction | None = None
    for one in [one for segment in segments for one in segment.timings] + [FrameTiming(0, 0)]:
        seconds = one.pts * footage.time_base - footage.begin
        if one.damaged and began is None:
            began = seconds
        if one.damaged:
            ended = seconds
        elif began is not None:
            yield "damaged frames are upscaled bicubically", f"from {float(began):.3f} s to {float(ended):.3f} s"
            began = None
