"""What a video file holds, as a player finds it: frames with their times, and all that lies beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

FILM = "film"


@dataclass(frozen=True)
class Times:
    """Moments in ticks of a clock.

    Attributes:
        tick: Seconds.
        ticks: One number for each moment.
    """

    tick: Fraction
    ticks: tuple[int, ...] = ()

    @property
    def start(self) -> Fraction:
        """Seconds of the first moment, 0 where there is none."""
        return self.ticks[0] * self.tick if self.ticks else Fraction(0)

    @property
    def length(self) -> Fraction:
        """Seconds from the first moment to the last."""
        return (self.ticks[-1] - self.ticks[0]) * self.tick if self.ticks else Fraction(0)

    def since_start(self) -> Iterator[Fraction]:
        """Yield the seconds from the first moment to each."""
        return ((ticks - self.ticks[0]) * self.tick for ticks in self.ticks)


@dataclass(frozen=True)
class VideoFrames:
    """The frames and what is said of them.

    Attributes:
        size: Width and height in pixels, as stored.
        times: When each frame is shown, in the order of showing.
        last: Seconds that the last frame stays; None where the file does not say.
        aspect: Width of a pixel by its height.
        turn: How the picture is turned to be shown, such as ``-90 degrees`` or ``180 degrees, mirrored``.
        facts: Colour tags by libav's numbers and HDR data, by name; only those that the file states.
    """

    size: tuple[int, int]
    times: Times
    last: Fraction | None
    aspect: Fraction
    turn: str
    facts: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Track:
    """One stream.

    Attributes:
        index: Its number in the file.
        kind: ``FILM``, or libav's ``audio``, ``subtitle``, ``attachment``, ``data``, ``video`` (a cover).
        codec: Empty for the film, which is encoded anew, and where there is none.
        flags: Dispositions such as ``default`` and ``forced``.
        packets: How many there are.
        sha256: Of the bytes of all packets, or of an attachment.
        times: When each packet begins, in their order; for subtitles also when it ends.
        first: The first packet's bytes.
    """

    index: int
    kind: str
    codec: str
    language: str | None
    metadata: Mapping[str, str]
    flags: frozenset[str]
    packets: int = 0
    sha256: str = ""
    times: Times = field(default_factory=lambda: Times(Fraction(1)))
    first: bytes = b""


@dataclass(frozen=True)
class Chapter:
    """A named part of the film; ``start`` is in seconds, as is the ``tick`` of the clock that tells it."""

    start: Fraction
    tick: Fraction
    title: str


@dataclass(frozen=True)
class Head:
    """What stands beside the packets."""

    tracks: tuple[Track, ...]
    chapters: tuple[Chapter, ...]
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Contents:
    """A whole file."""

    head: Head
    film: VideoFrames
