"""A film in pieces that are each whole on the disk, so that a killed run loses one of them at most.

    FOLDER/00000.mkv, 00000.json, 00001.mkv, ...

A piece is encoded by an encoder of its own and begins with a key frame, so what it holds depends on its frames only.
Its clock counts frames; the times at which they are shown stand beside it, exact in the source's ticks. A piece is
there when its JSON is: that is written last, after the film was read back.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from pipeline.errors import BrokenVideo, needing_space
from pipeline.hashing import sha256_of
from pipeline.video.colour import YUV
from pipeline.video.container import address_of, open_video, video_stream_of
from pipeline.video.encoder import add_film
from pipeline.video.options import VideoOptions
from pipeline.video.planes import pix_fmt_of
from pipeline.video.probe import Footage


@dataclass(frozen=True)
class Shown:
    """When a frame is shown, in ticks of the source's clock, and whether the source was damaged there."""

    pts: int
    duration: int
    damaged: bool = False


@dataclass(frozen=True)
class Segment:
    """A piece of encoded film.

    Attributes:
        path: The Matroska file.
        shown: Each frame's time, in the order of showing.
        order: For each packet as encoded, which of ``shown`` it is.
        notes: What was told of the source until its end.
        sha256: Of the file.
    """

    path: Path
    shown: tuple[Shown, ...]
    order: tuple[int, ...]
    notes: tuple[str, ...]
    sha256: str


def write_segment(
    path: Path,
    frames: Iterable[tuple[av.VideoFrame, Shown]],
    footage: Footage,
    layout: YUV,
    scale: int,
    options: VideoOptions,
) -> tuple[tuple[Shown, ...], tuple[int, ...]]:
    """Encode frames into a file; return when they are shown, and in which order they were encoded.

    Raises:
        BrokenVideo: if what is read back is not what was written.
        OutOfSpace: if the disk is full.
    """
    shown: list[Shown] = []
    try:
        with needing_space(), av.open(address_of(path), "w", format="matroska") as container:
            stream = add_film(container, footage, layout, scale, options)
            for frame, when in frames:
                frame.pts, frame.time_base = len(shown), 1 / footage.rate
                shown.append(when)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        width, height = (side * scale for side in footage.size)
        what = f"cannot be encoded by {options.codec} with {width} x {height} pixels in {pix_fmt_of(layout)}"
        raise BrokenVideo(f"{what}: {error.strerror}; another --codec or --pix-fmt may take them") from error
    order = tuple(_coded_order(path))
    if sorted(order) != list(range(len(shown))):
        raise BrokenVideo(f"{options.codec} made {len(order)} frames of {len(shown)}")
    return tuple(shown), order


def commit(path: Path, shown: tuple[Shown, ...], order: tuple[int, ...], notes: Iterable[str]) -> Segment:
    """Bring a segment safely to the disk, and its JSON last.

    Raises:
        OutOfSpace: if the disk is full.
    """
    segment = Segment(path, shown, order, tuple(notes), sha256_of(path))
    temporary = path.with_suffix(".writing")
    with needing_space():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(dataclasses.asdict(segment) | {"path": path.name}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path.with_suffix(".json"))
    return segment


def segment_path(folder: Path, index: int) -> Path:
    """Return where a piece of film goes."""
    return folder / f"{index:05}.mkv"


def whole_segments(folder: Path) -> Iterator[Segment]:
    """Yield the pieces that are there and whole, up to the first that is not."""
    index = 0
    while (path := segment_path(folder, index)).exists() and path.with_suffix(".json").exists():
        fields = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if fields["sha256"] != sha256_of(path):
            return
        shown = tuple(Shown(**one) for one in fields["shown"])
        yield Segment(path, shown, tuple(fields["order"]), tuple(fields["notes"]), fields["sha256"])
        index += 1


def packets_of(segment: Segment) -> Iterator[av.Packet]:
    """Yield the packets of a segment as encoded, without their times."""
    with open_video(segment.path) as container:
        for packet in container.demux(video_stream_of(container)):
            if packet.size:
                yield packet


def _coded_order(path: Path) -> list[int]:
    """Return the place in the order of showing of each packet."""
    with open_video(path) as container:
        times = [packet.pts for packet in container.demux(video_stream_of(container)) if packet.size]
    places = {pts: place for place, pts in enumerate(sorted(pts for pts in times if pts is not None))}
    return [-1 if pts is None else places[pts] for pts in times]


def decoding_times(segments: Iterable[Segment], first_gap: int) -> list[int]:
    """Return a time to decode for each packet of the film, so that none is shown before it.

    The times of showing in order, shifted by as many frames as the encoder exchanges; the first ones lie
    before the film, ``first_gap`` ticks apart.
    """
    shown: list[int] = []
    delay = 0
    for segment in segments:
        delay = max([delay, *(coded - place for coded, place in enumerate(segment.order))])
        shown += [one.pts for one in segment.shown]
    before = [shown[0] - first_gap * early for early in range(delay, 0, -1)]
    return (before + shown)[: len(shown)]


def damaged_stretches(segments: Iterable[Segment], footage: Footage) -> Iterator[str]:
    """Tell where frames were damaged, as stretches."""
    began: Fraction | None = None
    for one in [one for segment in segments for one in segment.shown] + [Shown(0, 0)]:
        seconds = one.pts * footage.time_base - footage.begin
        if one.damaged and began is None:
            began = seconds
        if one.damaged:
            ended = seconds
        elif began is not None:
            yield f"damaged from {float(began):.3f} s to {float(ended):.3f} s, passed through enlarged bicubically"
            began = None
