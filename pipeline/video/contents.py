"""Data classes for the contents of a video file: the video stream, the other streams, chapters and metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

# The kind of the stream that is restored; cover images are streams of the kind "video", too.
MAIN_VIDEO = "main video"


@dataclass(frozen=True)
class Timestamps:
    """Timestamps in units of a time base.

    Attributes:
        time_base: Seconds per tick.
        ticks: One integer for each timestamp.
    """

    time_base: Fraction
    ticks: tuple[int, ...] = ()

    @property
    def start(self) -> Fraction:
        """Seconds of the first timestamp, 0 if there is none."""
        return self.ticks[0] * self.time_base if self.ticks else Fraction(0)

    @property
    def length(self) -> Fraction:
        """Seconds from the first timestamp to the last."""
        return (self.ticks[-1] - self.ticks[0]) * self.time_base if self.ticks else Fraction(0)

    def since_start(self) -> Iterator[Fraction]:
        """Yield the seconds from the first timestamp to each."""
        return ((ticks - self.ticks[0]) * self.time_base for ticks in self.ticks)


@dataclass(frozen=True)
class VideoProperties:
    """Timestamps, geometry and colour tags of the main video stream.

    Attributes:
        size: Width and height in pixels, as stored.
        timestamps: Presentation timestamps of all frames, in display order.
        last_duration: Duration of the last frame in seconds; None if the file does not state it.
        aspect: Pixel aspect ratio, width by height.
        rotation: Rotation for display, such as ``-90 degrees`` or ``180 degrees, mirrored``.
        tags: Colour tags by libav's numbers, HDR metadata, projection and views, and summaries of what frames say
            (captions), by name; only those that the file states.
    """

    size: tuple[int, int]
    timestamps: Timestamps
    last_duration: Fraction | None
    aspect: Fraction
    rotation: str
    tags: Mapping[str, tuple[float, ...] | str]


@dataclass(frozen=True)
class Track:
    """One stream of a container.

    Attributes:
        index: Stream index in the file.
        kind: ``MAIN_VIDEO``, or libav's ``audio``, ``subtitle``, ``attachment``, ``data``, ``video`` (a cover).
        codec: Empty for the main video, which is re-encoded, and if there is none.
        flags: Dispositions such as ``default`` and ``forced``.
        packets: Number of packets.
        sha256: Of the bytes of all packets, or of an attachment.
        timestamps: Presentation timestamp of each packet, in stored order; for subtitles also its end.
        first: The bytes of the first packet.
    """

    index: int
    kind: str
    codec: str
    language: str | None
    metadata: Mapping[str, str]
    flags: frozenset[str]
    packets: int = 0
    sha256: str = ""
    timestamps: Timestamps = field(default_factory=lambda: Timestamps(Fraction(1)))
    first: bytes = b""


@dataclass(frozen=True)
class Chapter:
    """A chapter mark; ``start`` is in seconds, ``time_base`` in seconds per tick."""

    start: Fraction
    time_base: Fraction
    title: str


@dataclass(frozen=True)
class ContainerHeader:
    """Everything in a container that is known without reading packets."""

    tracks: tuple[Track, ...]
    chapters: tuple[Chapter, ...]
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Contents:
    """All contents of a video file."""

    header: ContainerHeader
    video: VideoProperties
