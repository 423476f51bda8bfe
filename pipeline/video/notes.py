"""Group notes on many places of a video into one line a kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

Note = tuple[str, str]
"""What, and where: ``damaged data cannot be decoded`` and ``at 1.200 s``."""

Warn = Callable[[str, str], None]
"""Takes the two parts of a note."""


def one_line_a_kind(notes: Iterable[Note]) -> list[str]:
    """Return a line for each kind of note, with the first place and the number of places."""
    places: dict[str, list[str]] = defaultdict(list)
    for what, where in notes:
        places[what].append(where)
    return [
        f"{what} {found[0]}" if len(found) == 1 else f"{what}, {len(found)} times, first {found[0]}"
        for what, found in places.items()
    ]
