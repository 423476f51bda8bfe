"""What a command made of a damaged file, and what of that is a fault."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.command import LONGEST, Ended

MOST_MEMORY = 2 * 2**30
_UNEXPECTED = re.compile(r"Traceback|internal error|\b[A-Z]\w*(?:Error|Exception|Warning): ")


@dataclass
class Tally:
    """Counts of outcomes, the slowest and the largest, and all faults."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[int, str] = (0, "")
    faults: list[str] = field(default_factory=list)

    def add(self, outcome: str, name: str, seconds: float, peak: int, faults: Iterable[str]) -> None:
        """Count one file."""
        self.counts[outcome] += 1
        self.slowest = max(self.slowest, (seconds, name))
        self.largest = max(self.largest, (peak, name))
        self.faults += [f"{name}: {fault}" for fault in faults]

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {outcome}" for outcome, number in self.counts.most_common())
        seconds, slow = self.slowest
        peak, large = self.largest
        return (
            f"{self.counts.total()}: {counts}; {len(self.faults)} faults; "
            f"slowest {seconds:.1f} s ({slow}), largest {peak / 2**20:.0f} MiB ({large})"
        )


def faults_of(ended: Ended) -> Iterator[str]:
    """Yield what is wrong with any command, whatever its input was."""
    if ended.hung:
        yield f"hangs for more than {LONGEST:.0f} s"
    elif ended.code not in (0, 1, 2):
        yield f"ended with {ended.code}"
    if unexpected := unexpected_in(ended.output):
        yield unexpected
    if ended.peak > MOST_MEMORY:
        yield f"took {ended.peak / 2**20:.0f} MiB"


def unexpected_in(text: str) -> str | None:
    """Return the place in a text that names an exception, which no message for users does."""
    found = _UNEXPECTED.search(text)
    return f"unexpected: {text[max(0, found.start() - 20) : found.end() + 200]!r}" if found else None


def records_of(output: Path) -> list[dict[str, Any]]:
    """Return the lines of a folder's run log; none without one."""
    log = output / "restoration.jsonl"
    return [json.loads(line) for line in log.read_bytes().splitlines()] if log.exists() else []


def leftovers(output: Path) -> list[str]:
    """Return the names of what is in a folder of results beside the run log and the results that it names."""
    named = {record["output"] for record in records_of(output) if record["status"] == "done"} | {"restoration.jsonl"}
    files = (path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    return sorted(set(files) - named)
