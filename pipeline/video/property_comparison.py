"""Compare one property of two videos.

Timestamps are equal if they are the same number of seconds. If the result's time base cannot represent a timestamp
exactly, they may differ by one tick of the coarser time base.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pipeline.video.contents import Timestamps

_NOTHING = "nothing"
_FEW = 3


@dataclass(frozen=True)
class PropertyComparison:
    """Expected and actual value of one property.

    Attributes:
        name: Such as ``frames`` or ``stream 2 (subtitle subrip) language``.
        expected: Value that follows from the source.
        actual: Value found in the result.
        agrees: Whether they are equal, within the resolution of the time bases.
        obstacle: Why the result's codec or container cannot store the value; empty if it can.
    """

    name: str
    expected: str
    actual: str
    agrees: bool
    obstacle: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether the values differ although the result could store the expected one."""
        return not self.agrees and not self.obstacle

    def __str__(self) -> str:
        """Return one line for a user."""
        line = f"{self.name}: {self.actual}, expected {self.expected}"
        return f"{line}; {self.obstacle}" if self.obstacle else line


def summarized(comparisons: Sequence[PropertyComparison]) -> list[str]:
    """Return one line per comparison, but a single one for many values that are missing for the same reason."""
    missing: dict[str, list[str]] = defaultdict(list)
    for comparison in comparisons:
        if comparison.actual == _NOTHING:
            missing[comparison.obstacle].append(comparison.name.removeprefix("metadata "))
    many = {obstacle: names for obstacle, names in missing.items() if len(names) > _FEW}
    lines = [str(one) for one in comparisons if one.actual != _NOTHING or one.obstacle not in many]
    return lines + [f"{len(names)} values are missing ({', '.join(names)}); {why}" for why, names in many.items()]


def compare_values(name: str, expected: Any, actual: Any) -> PropertyComparison:
    """Compare values that must be equal; None means that the result states no value."""
    return PropertyComparison(name, _text(expected), _text(actual), expected == actual)


def compare_texts(name: str, expected: Mapping[str, str], actual: Mapping[str, str]) -> list[PropertyComparison]:
    """Compare each metadata entry of the source with the result's."""
    return [compare_values(f"{name} {key}", text, actual.get(key)) for key, text in sorted(expected.items())]


def compare_times(
    name: str, seconds: tuple[Fraction, Fraction], time_bases: tuple[Fraction, Fraction]
) -> PropertyComparison:
    """Compare two points in time that have different time bases: ``(expected, actual)``, all in seconds."""
    expected, actual = map(_seconds, seconds)
    return PropertyComparison(name, expected, actual, _agree(seconds, time_bases))


def compare_timestamps(name: str, expected: Timestamps, actual: Timestamps) -> PropertyComparison:
    """Compare timestamps relative to the first, up to the shorter length.

    The comparison states the first timestamp that differs, else the largest difference.
    """
    pairs = list(zip(expected.since_start(), actual.since_start(), strict=False))
    bases = expected.time_base, actual.time_base
    wrong = next((number for number, pair in enumerate(pairs) if not _agree(pair, bases)), None)
    if wrong is not None:
        one, other = map(_seconds, pairs[wrong])
        return PropertyComparison(name, f"{one} after the first", f"number {wrong} at {other}", agrees=False)
    largest = max((abs(one - other) for one, other in pairs), default=Fraction(0))
    difference = f"off by {_seconds(largest)} at most"
    return PropertyComparison(name, f"{len(expected.ticks)} timestamps", difference, agrees=True)


def _agree(seconds: tuple[Fraction, Fraction], time_bases: tuple[Fraction, Fraction]) -> bool:
    expected, actual = seconds
    if expected == actual:
        return True
    is_representable = (expected / time_bases[1]).denominator == 1
    return not is_representable and abs(expected - actual) <= max(time_bases)


def _seconds(time: Fraction) -> str:
    return f"{float(time):.6f} s" if time else "0 s"


def _text(value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, tuple | list):
        return ", ".join(f"{part:g}" for part in value)
    return str(value)
