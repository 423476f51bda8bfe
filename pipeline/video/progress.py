"""What is known of a video while it is restored, and of the restored one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from pipeline.video.device import EngineTotals
from pipeline.video.steps import StepLoad


@dataclass
class VideoProgress:
    """Progress of one video.

    Attributes:
        frames: Frames encoded so far, including those of earlier runs.
        total: Frames to restore, estimated from the header; None if unknown.
        fresh: Frames encoded in this run.
        loads: How each step spends its time.
    """

    total: int | None
    frames: int = 0
    fresh: int = 0
    loads: dict[str, StepLoad] = field(
        default_factory=lambda: {name: StepLoad() for name in ("decode", "compute", "encode")}
    )
    started: float = field(default_factory=time.perf_counter)

    @property
    def rate(self) -> float:
        """Frames per second in this run."""
        return self.fresh / max(1e-9, time.perf_counter() - self.started)

    @property
    def limit(self) -> str:
        """Name of the bottleneck: the step that waits least for the others."""
        return min(self.loads, key=lambda name: self.loads[name].waiting)


@dataclass(frozen=True)
class RestoredVideo:
    """The outcome of restoring a video.

    Attributes:
        size: Width and height of the result in pixels.
        notes: What was guessed or converted, one line each.
        losses: What was damaged or missing, likewise.
        totals: The engine's statistics of this run.
    """

    size: tuple[int, int]
    progress: VideoProgress
    notes: tuple[str, ...]
    losses: tuple[str, ...]
    totals: EngineTotals
