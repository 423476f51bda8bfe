"""The part of a film that a preview shows, and how its times are told from its own beginning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer


@dataclass(frozen=True)
class Window:
    """A stretch of time on the source's clock, in seconds; by default all of it.

    Attributes:
        begin: What is before is left out; None for nothing.
        stop: What is not before it is left out; None for nothing.
        shift: By how much all that is left is moved forward.
    """

    begin: Fraction | None = None
    stop: Fraction | None = None
    shift: Fraction = Fraction(0)

    def holds(self, seconds: Fraction) -> bool:
        """Tell whether a moment lies in it."""
        return self.reached(seconds) and not self.passed(seconds)

    def reached(self, seconds: Fraction) -> bool:
        """Tell whether a moment is not before it."""
        return self.begin is None or seconds >= self.begin

    def passed(self, seconds: Fraction) -> bool:
        """Tell whether a moment is behind it."""
        return self.stop is not None and seconds >= self.stop

    def moved(self, ticks: int, tick: Fraction) -> int:
        """Return a time as the preview tells it, in ticks of so many seconds."""
        return ticks - round(self.shift / tick)

    def chapters(self, container: InputContainer) -> Iterator[Any]:
        """Yield what of each chapter lies in it, as PyAV tells chapters."""
        for chapter in container.chapters():
            base = chapter["time_base"] or Fraction(1, av.time_base)
            start, end = chapter["start"] * base, chapter["end"] * base
            if not self.passed(start) and (self.begin is None or end > self.begin):
                first = start if self.begin is None else max(start - self.shift, Fraction(0))
                last = end if self.stop is None else min(end, self.stop)
                yield chapter | {"start": round(first / base), "end": round((last - self.shift) / base)}


def window_of(film_begin: Fraction, start: float, duration: float | None) -> Window:
    """Return a window in a film.

    Args:
        film_begin: Seconds on its clock at which the film begins.
        start: Seconds of it to leave out.
        duration: Seconds to show; None for all that is left.
    """
    # By their decimals: the binary 0.2 lies behind a frame shown at 1/5.
    shift = Fraction(str(start))
    begin = film_begin + shift
    return Window(begin if start else None, None if duration is None else begin + Fraction(str(duration)), shift)
