"""The time range that a preview covers, and the shift of its timestamps to its own beginning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer


@dataclass(frozen=True)
class Window:
    """A time range of the source in seconds; by default all of it.

    Attributes:
        begin: Start of the range; None for the beginning of the source.
        stop: End of the range (exclusive); None for the end of the source.
        shift: Subtracted from all timestamps in the range.
    """

    begin: Fraction | None = None
    stop: Fraction | None = None
    shift: Fraction = Fraction(0)

    def contains(self, seconds: Fraction) -> bool:
        """Return whether a time lies in the range."""
        return self.reached(seconds) and not self.passed(seconds)

    def reached(self, seconds: Fraction) -> bool:
        """Return whether a time is not before the range."""
        return self.begin is None or seconds >= self.begin

    def passed(self, seconds: Fraction) -> bool:
        """Return whether a time is behind the range."""
        return self.stop is not None and seconds >= self.stop

    def shifted(self, ticks: int, time_base: Fraction) -> int:
        """Return a timestamp of the source as a timestamp of the preview, in the same time base."""
        return ticks - round(self.shift / time_base)

    def chapters(self, container: InputContainer) -> Iterator[Any]:
        """Yield the part of each chapter that lies in the range, as PyAV represents chapters."""
        for chapter in container.chapters():
            base = chapter["time_base"] or Fraction(1, av.time_base)
            start, end = chapter["start"] * base, chapter["end"] * base
            if not self.passed(start) and (self.begin is None or end > self.begin):
                first = start if self.begin is None else max(start - self.shift, Fraction(0))
                last = end if self.stop is None else min(end, self.stop)
                yield chapter | {"start": round(first / base), "end": round((last - self.shift) / base)}


def window_of(video_begin: Fraction, start: float, duration: float | None) -> Window:
    """Return the time range of a preview.

    Args:
        video_begin: Timestamp in seconds at which the source begins.
        start: Seconds to skip.
        duration: Seconds to keep; None for everything after ``start``.
    """
    # From the decimal text: the binary float 0.2 lies behind a frame at exactly 1/5 s.
    shift = Fraction(str(start))
    begin = video_begin + shift
    return Window(begin if start else None, None if duration is None else begin + Fraction(str(duration)), shift)
