"""Run a chain over one canvas, once: tile by tile, with a given batch and tile size."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline.device.computing import computing
from pipeline.device.stopwatch import Stopwatch
from pipeline.device.transfer import Download, down
from pipeline.engine.canvas import Canvas
from pipeline.engine.measurement import measure
from pipeline.errors import RestorationError
from pipeline.tiling import Region, needed_regions, split
from stages.findings import BlurFinding, collected_findings

if TYPE_CHECKING:
    from pipeline.chain.chain import Chain


@dataclass(frozen=True)
class _Part:
    """A tile of some frames, being computed by the device.

    Attributes:
        computed: Names of the stages that ran: all but those at strength 0.
        finite: Whether the result of each of them is finite.
        puts: Functions that write the results to the canvas.
    """

    frames: slice
    tile: Region
    computed: list[str]
    finite: Download
    puts: list[Callable[[], None]]


class Attempt:
    """A chain run once over one canvas.

    Attributes:
        watch: Called after every stage of every tile with the share that is done; what it raises ends the attempt.
        measured: What stages had to know of the whole frames, by name, ``(frames, measures, 1, 1)``.
        blurs: What stages found of the last frame's blur, by name.
    """

    def __init__(
        self,
        chain: Chain,
        device: torch.device,
        precision: str,
        canvas: Canvas[Any],
        watch: Callable[[float], None] = lambda share: None,
    ) -> None:
        self.chain = chain
        self.device = device
        self.precision = precision
        self.canvas = canvas
        self.watch = watch
        self.stopwatch = Stopwatch(device)
        self.fp32_retries = 0
        self.measured: dict[str, Tensor] = {}
        self.blurs: dict[str, BlurFinding] = {}
        self._steps = 0
        self._steps_done = 0

    @torch.inference_mode()
    def run(self, batch: int, tile: int) -> None:
        """Fill the canvas part by part; the host writes one while the device computes the next."""
        frames, height, width = self.canvas.shape
        self.measured = measure(self.chain, self.canvas, self.device)
        begun: deque[_Part] = deque()
        parts = [(start, region) for start in range(0, frames, batch) for region in split(height, width, tile)]
        self._steps = len(parts) * len(self.chain.names)
        for start, region in parts:
            begun.append(self._compute(slice(start, start + batch), region, self.precision))
            if len(begun) > 1:
                self._finish(begun.popleft())
        self._finish(begun.popleft())

    def _finish(self, part: _Part) -> None:
        """Write a part's results to the canvas; recompute them in fp32 if half precision overflowed."""
        lost = self._lost(part)
        if lost and self.precision != "fp32":
            self.fp32_retries += 1
            part = self._compute(part.frames, part.tile, "fp32")
            lost = self._lost(part)
        if lost:
            raise RestorationError(
                f"stage {lost[0]!r} made values that are not finite, in fp32 too; its weights are damaged"
            )
        for put in part.puts:
            put()

    def _lost(self, part: _Part) -> list[str]:
        """Return the stages whose results are not finite."""
        answers = part.finite.result().tolist()
        return [name for name, answer in zip(part.computed, answers, strict=True) if not answer]

    def _compute(self, frames: slice, tile: Region, precision: str) -> _Part:
        """Start all stages on a tile, without waiting for the device."""
        _, height, width = self.canvas.shape
        regions = needed_regions(tile, self.chain.footprints, height, width)
        finite: dict[str, Tensor] = {}
        puts: list[Callable[[], None]] = []
        with computing(self.device, precision):
            image = self.canvas.cut(regions[0], frames)
            for index, name in enumerate(self.chain.names):
                given, needed = regions[index].scaled(self.chain.footprints[index].scale), regions[index + 1]
                with self.stopwatch.lap(name), collected_findings() as found:
                    measured = self.measured[name][frames] if name in self.measured else None
                    made = self.chain.run_stage(index, image, measured)
                    passed_on = made is image  # at strength 0
                    if found:
                        self.blurs[name] = found[-1]
                    image = _crop(made, needed, given)
                    if not passed_on:
                        finite[name] = image.sum().isfinite()
                        image = image.clamp(0, 1)
                if name in self.canvas.made:
                    painted = tile.scaled(self.chain.scales[name])
                    puts.append(self.canvas.paint(name, painted, frames, _crop(image, painted, needed)))
                self._count_step()
            answers = torch.stack(list(finite.values())) if finite else torch.empty(0)
            return _Part(frames, tile, list(finite), down(answers), puts)

    def _count_step(self) -> None:
        """Report a stage of a tile; those computed again in fp32 do not count."""
        self._steps_done = min(self._steps_done + 1, self._steps)
        self.watch(self._steps_done / self._steps)


def _crop(image: Tensor, wanted: Region, covered: Region) -> Tensor:
    rows, columns = wanted.within(covered)
    return image[..., rows, columns]
