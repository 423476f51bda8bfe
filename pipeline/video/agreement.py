"""When two films agree in one figure.

Moments agree if they are equal; where the result's clock cannot tell a moment exactly, if they are at most one tick
of the coarser clock apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pipeline.video.contents import Times

_NOTHING = "nothing"
_FEW = 3


@dataclass(frozen=True)
class Figure:
    """One thing that was compared.

    Attributes:
        name: What it is, such as ``frames`` or ``stream 2 (subtitle subrip) language``.
        expected: Of the source, as it should be in the result.
        came: Of the result.
        agrees: Whether they are the same, within what the clocks can tell.
        obstacle: Why the result cannot hold it, so that it is no fault; empty if it can.
    """

    name: str
    expected: str
    came: str
    agrees: bool
    obstacle: str = ""

    @property
    def is_fault(self) -> bool:
        """Tell whether it should agree, and does not."""
        return not self.agrees and not self.obstacle

    def __str__(self) -> str:
        """Return a line for a user."""
        told = f"{self.name}: {self.came}, expected {self.expected}"
        return f"{told}; {self.obstacle}" if self.obstacle else told


def folded(figures: Sequence[Figure]) -> list[str]:
    """Return a line for each figure, but only one where many are missing for the same reason."""
    missing: dict[str, list[str]] = defaultdict(list)
    for figure in figures:
        if figure.came == _NOTHING:
            missing[figure.obstacle].append(figure.name.removeprefix("metadata "))
    many = {obstacle: names for obstacle, names in missing.items() if len(names) > _FEW}
    lines = [str(figure) for figure in figures if figure.came != _NOTHING or figure.obstacle not in many]
    return lines + [f"{len(names)} texts are missing ({', '.join(names)}); {why}" for why, names in many.items()]


def equal(name: str, expected: Any, came: Any) -> Figure:
    """Compare what has to be the very same; None is what the result does not say."""
    return Figure(name, _text(expected), _text(came), expected == came)


def equal_texts(name: str, expected: Mapping[str, str], came: Mapping[str, str]) -> list[Figure]:
    """Compare each of the source's texts."""
    return [equal(f"{name} {key}", text, came.get(key)) for key, text in sorted(expected.items())]


def same_moment(name: str, seconds: tuple[Fraction, Fraction], ticks: tuple[Fraction, Fraction]) -> Figure:
    """Compare what is expected with what came, both told by a clock of its own."""
    expected, came = map(_seconds, seconds)
    return Figure(name, expected, came, _agree(seconds, ticks))


def same_times(name: str, expected: Times, came: Times) -> Figure:
    """Compare moments since the first, as far as both go; tell the first that differs, or the largest difference."""
    pairs = list(zip(expected.since_start(), came.since_start(), strict=False))
    wrong = next((number for number, pair in enumerate(pairs) if not _agree(pair, (expected.tick, came.tick))), None)
    if wrong is not None:
        one, other = map(_seconds, pairs[wrong])
        return Figure(name, f"{one} after the first", f"number {wrong} at {other}", agrees=False)
    largest = max((abs(one - other) for one, other in pairs), default=Fraction(0))
    return Figure(name, f"{len(expected.ticks)} times", f"off by {_seconds(largest)} at most", agrees=True)


def _agree(seconds: tuple[Fraction, Fraction], ticks: tuple[Fraction, Fraction]) -> bool:
    expected, came = seconds
    if expected == came:
        return True
    exactly_told = (expected / ticks[1]).denominator == 1
    return not exactly_told and abs(expected - came) <= max(ticks)


def _seconds(moment: Fraction) -> str:
    return f"{float(moment):.6f} s" if moment else "0 s"


def _text(value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, tuple | list):
        return ", ".join(f"{part:g}" for part in value)
    return str(value)
