"""Let the clock of a recording continue where it jumps, as it does between recordings that were joined.

    stored     0 1 2 3 | 0 1 2        900 901 902
    continued  0 1 2 3 | 4 5 6 |        7   8   9

Each stretch without a jump is a part. One offset per part keeps its streams in step; it is the least with which no
stream goes back in time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.format import Flags

from pipeline.video.damage import DAMAGED
from pipeline.video.demuxers import ONLY_THIS_FILE

_BACK, _FORTH = Fraction(1, 5), Fraction(10)  # seconds; the latter is also what ffmpeg takes for a jump
_NEVER = Fraction(2**40)
_AROUND = 2  # packets that the demuxer may hold back
_DENSE = ("video", "audio")
_HAS_JUMPS, _HAS_NONE = cast(int, Flags.ts_discont.value), cast(int, Flags.no_timestamps.value)
_STEADY = ("mov,mp4", "avi")  # they store durations


@dataclass(frozen=True)
class Clock:
    """The offsets of a file's parts.

    Attributes:
        shifts: By stream: from which of its packets on, counted from 0, how many seconds are added.
        length: Seconds from the begin of the first part to the end of the last; None if the clock never jumps.
        jumps: How often it jumps.
    """

    shifts: Mapping[int, tuple[tuple[int, Fraction], ...]] = field(default_factory=dict)
    length: Fraction | None = None
    jumps: int = 0


def clock_of(container: InputContainer) -> Clock:
    """Read the packets of a file, unless its clock cannot jump, and return what lets it continue."""
    if container.format.flags & _HAS_NONE or container.format.name.startswith(_STEADY):
        return Clock()
    status = Path(container.name).stat()
    return _scanned(container.name, status.st_size, status.st_mtime_ns)


def continued(container: InputContainer, packets: Iterator[Any]) -> Iterator[Any]:
    """Yield packets of a file, demuxed from its begin, with the timestamps of a clock that never jumps.

    The packets around a jump are not marked as damaged, for which the demuxer takes a joint.
    """
    shifts = clock_of(container).shifts
    counts: Counter[int] = Counter()
    for packet in packets:
        index = packet.stream.index
        if packet.size and index in shifts:
            number = counts[index]
            counts[index] += 1
            seconds = next(added for first, added in reversed(shifts[index]) if number >= first)
            ticks = round(seconds / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
            if any(0 <= first - number <= _AROUND for first, _ in shifts[index]):
                packet.is_corrupt = False
        yield packet


@dataclass
class _Span:
    """The packets of one stream in one part: the number of the first, and times in ticks.

    ``begin`` and ``last`` are decoding timestamps; ``shown`` and ``end`` are the first and last time of being shown.
    """

    first: int
    base: Fraction
    begin: int
    last: int
    shown: int
    end: int
    count: int = 0

    def add(self, time: int, shown: int) -> None:
        self.last, self.count = time, self.count + 1
        self.shown, self.end = min(self.shown, shown), max(self.end, shown)

    def continues_at(self, time: int, forth: Fraction) -> bool:
        return -_BACK <= (time - self.last) * self.base <= forth

    def distance_from(self, before: _Span) -> Fraction:
        """Return the least seconds to add with which this stream is neither decoded nor shown before its own end."""
        return (max(before.last - self.begin, before.end - self.shown) + before.step) * self.base

    @property
    def step(self) -> int:
        """The usual duration of a packet, which few of these containers state."""
        return round((self.last - self.begin) / max(1, self.count - 1))


class _Parts:
    """Sorts packets into parts; streams enter a new part one by one, as they are interleaved."""

    def __init__(self, forth: Fraction) -> None:
        self._forth = forth
        self.spans: list[dict[int, _Span]] = [{}]
        self.kinds: dict[int, str] = {}
        self._positions = [Fraction(-(2**40))]
        self._current: dict[int, int] = {}
        self._counts: Counter[int] = Counter()

    def add(self, packet: Any) -> None:
        index, base = packet.stream.index, packet.time_base
        self.kinds[index] = packet.stream.type
        # B-frames are shown out of order, so the time at which a video packet is shown says nothing.
        time = packet.dts if packet.dts is not None or packet.stream.type == "video" else packet.pts
        if time is not None:
            part = self._part_of(index, time, base)
            self._current[index], self._positions[part] = part, max(self._positions[part], time * base)
            shown = time if packet.pts is None else packet.pts
            spans = self.spans[part]
            spans.setdefault(index, _Span(self._counts[index], base, time, time, shown, shown))
            spans[index].add(time, shown)
        self._counts[index] += 1

    def _part_of(self, index: int, time: int, base: Fraction) -> int:
        newest, at = len(self.spans) - 1, time * base
        if index not in self._current:
            return newest
        own = self._current[index]
        distances = [abs(at - self._positions[part]) for part in (own, newest)]
        if own < newest and distances[1] < distances[0]:
            return newest
        span = self.spans[own][index]
        is_gap = time > span.last and distances[0] <= self._forth  # of this stream only
        if span.continues_at(time, self._forth) or is_gap:
            return own
        self.spans.append({})
        self._positions.append(at)
        return newest + 1


@lru_cache(maxsize=8)
def _scanned(name: str, size: int, changed: int) -> Clock:
    """Return the clock of a file; size and time of change stand for its content."""
    with av.open(name, options=ONLY_THIS_FILE, metadata_errors="replace") as container:
        # Elsewhere, a long time without packets is a still scene.
        parts = _Parts(_FORTH if container.format.flags & _HAS_JUMPS else _NEVER)
        packets = container.demux(
            [stream for stream in container.streams if stream.type in (*_DENSE, "subtitle", "data")]
        )
        while True:
            try:
                packet = next(packets)
            except (StopIteration, *DAMAGED):
                break
            if packet.size:
                parts.add(packet)
    return _clock(parts)


def _clock(parts: _Parts) -> Clock:
    spans = parts.spans
    if len(spans) == 1:
        return Clock()
    offsets = [Fraction(0)]
    for before, after in pairwise(spans):
        offsets.append(offsets[-1] + _distance(before, after, parts.kinds))
    shifts: dict[int, list[tuple[int, Fraction]]] = {index: [(0, Fraction(0))] for index in parts.kinds}
    for part, offset in zip(spans, offsets, strict=True):
        for index, span in part.items():
            shifts[index].append((span.first, offset))
    begin = min(span.shown * span.base for span in spans[0].values())
    end = max((span.end + span.step) * span.base for span in spans[-1].values()) + offsets[-1]
    return Clock({index: tuple(found) for index, found in shifts.items()}, end - begin, len(spans) - 1)


def _distance(before: Mapping[int, _Span], after: Mapping[int, _Span], kinds: Mapping[int, str]) -> Fraction:
    """Return the seconds to add to a part so that it follows the one before."""
    common = before.keys() & after.keys()
    if dense := [index for index in common if kinds[index] in _DENSE]:
        return max(after[index].distance_from(before[index]) for index in dense)
    ended = max((span.end + span.step) * span.base for span in before.values())
    return ended - min(span.begin * span.base for span in after.values())
