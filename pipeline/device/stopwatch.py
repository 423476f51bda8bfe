"""Measure computing time by name, on any device."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Stopwatch:
    """Sums seconds by name; on a GPU by events in its queue, without waiting for it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._laps: list[tuple[str, Any, Any]] = []

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        start = self._now()
        yield
        self._laps.append((name, start, self._now()))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every name so far."""
        totals: dict[str, float] = defaultdict(float)
        for name, start, stop in self._laps:
            totals[name] += self._between(start, stop)
        return dict(totals)

    def _now(self) -> Any:
        if self._device.type == "cpu":
            return time.perf_counter()
        if self._device.type == "cuda":
            return torch.cuda.current_stream(self._device).record_event(torch.cuda.Event(enable_timing=True))
        mark = torch.mps.Event(enable_timing=True)
        mark.record()
        return mark

    def _between(self, start: Any, stop: Any) -> float:
        if self._device.type == "cpu":
            return stop - start
        stop.synchronize()
        return start.elapsed_time(stop) / 1000
