"""The size of the fault campaign, and its report."""

from __future__ import annotations

import os
from dataclasses import dataclass, field


@dataclass
class Campaign:
    """How much is tried, and what came of it.

    Attributes:
        scale: 1 is the whole campaign.
        seed: Of all random numbers.
        lines: The report so far.
    """

    scale: float
    seed: int
    lines: list[str] = field(default_factory=list)

    @classmethod
    def from_environment(cls) -> Campaign:
        """Return the campaign that ``FAULTS_SCALE`` and ``FAULTS_SEED`` ask for."""
        return cls(float(os.environ.get("FAULTS_SCALE", "1")), int(os.environ.get("FAULTS_SEED", "1")))

    def count(self, whole: int) -> int:
        """Return how many of the whole campaign's cases are tried; at least one."""
        return max(1, round(whole * self.scale))

    def report(self, part: str, result: object) -> None:
        """Keep one line for the end of the test run."""
        self.lines.append(f"{part}: {result}")
