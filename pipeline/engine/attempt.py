"""Run a chain over one canvas, once: tile by tile, with a given batch and tile size."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline.device.computing import computing
from pipeline.device.stopwatch import Stopwatch
from pipeline.device.transfer import Download, down
from pipeline.engine.canvas import Canvas, FrameCanvas
from pipeline.engine.measurement import measure
from pipeline.errors import RestorationError
from pipeline.tiling import Region, needed_regions, scales_before, split, tiled_groups, total_scale
from stages.findings import BlurFinding, collected_findings

if TYPE_CHECKING:
    from pipeline.chain.chain import Chain


@dataclass(frozen=True)
class _Group:
    """Stages that run one after another on the same tiles of some frames.

    Attributes:
        stages: Their indices.
        source: Holds their input.
        taken: Which frames of the source.
        frames: The same frames, in the attempt's canvas.
        scale: Of their input, relative to the canvas.
        measured: What they have to know of the whole frames, by name, ``(B, measures, 1, 1)``.
        target: Takes their result to the next group, ``(B, 3, H, W)``; None for the last.
    """

    stages: range
    source: Canvas[Any]
    taken: slice
    frames: slice
    scale: int
    measured: dict[str, Tensor]
    target: Tensor | None


@dataclass(frozen=True)
class _Part:
    """A tile of a group's input, being computed by the device.

    Attributes:
        group: The stages that run.
        tile: In pixels of their input.
        computed: Names of the stages that ran: all but those at strength 0.
        finite: Whether the result of each of them is finite.
        puts: Functions that write the results to where they belong.
    """

    group: _Group
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
        """Fill the canvas, batch by batch."""
        frames = self.canvas.shape[0]
        batches = [slice(start, min(start + batch, frames)) for start in range(0, frames, batch)]
        groups = tiled_groups(self.chain.footprints)
        self._steps = len(batches) * sum(len(stages) * len(self._tiles(stages, tile)) for stages in groups)
        for part in batches:
            source, taken = self.canvas, part
            for stages in groups:
                group = self._group(stages, source, taken, part)
                self._run_group(group, self._tiles(stages, tile))
                if group.target is not None:
                    source, taken = FrameCanvas(group.target, {}), slice(None)

    def _tiles(self, stages: range, tile: int) -> list[Region]:
        """Return the parts that a group's input is cut into; one that needs the whole image gets it."""
        _, height, width = self.canvas.shape
        scale = scales_before(self.chain.footprints)[stages.start]
        whole = self.chain.footprints[stages.start].halo is None
        return list(split(height * scale, width * scale, 0 if whole else tile * scale))

    def _group(self, stages: range, source: Canvas[Any], taken: slice, frames: slice) -> _Group:
        measured = measure(self.chain, stages, source, taken, self.device)
        for name, values in measured.items():
            self.measured[name] = torch.cat([self.measured[name], values]) if name in self.measured else values
        scale = scales_before(self.chain.footprints)[stages.start]
        target = None
        if stages.stop < len(self.chain.names):
            _, height, width = source.shape
            larger = total_scale(self.chain.footprints[stages.start : stages.stop])
            shape = (frames.stop - frames.start, 3, height * larger, width * larger)
            target = torch.empty(shape, device=self.device)
        return _Group(stages, source, taken, frames, scale, measured, target)

    def _run_group(self, group: _Group, tiles: list[Region]) -> None:
        """Run stages tile by tile; the host writes one while the device computes the next.

        What needs the most pixels comes first: its memory serves all others, where growing ones would leave gaps in it.
        """
        _, height, width = group.source.shape
        footprints = self.chain.footprints[group.stages.start : group.stages.stop]
        begun: deque[_Part] = deque()
        for tile in sorted(tiles, key=lambda tile: -needed_regions(tile, footprints, height, width)[0].area):
            begun.append(self._compute(group, tile, self.precision))
            if len(begun) > 1:
                self._finish(begun.popleft())
        self._finish(begun.popleft())

    def _finish(self, part: _Part) -> None:
        """Write a part's results to the canvas; recompute them in fp32 if half precision overflowed."""
        lost = self._lost(part)
        if lost and self.precision != "fp32":
            self.fp32_retries += 1
            part = self._compute(part.group, part.tile, "fp32")
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

    def _compute(self, group: _Group, tile: Region, precision: str) -> _Part:
        """Start a group's stages on a tile, without waiting for the device."""
        _, height, width = group.source.shape
        footprints = self.chain.footprints[group.stages.start : group.stages.stop]
        regions = needed_regions(tile, footprints, height, width)
        finite: dict[str, Tensor] = {}
        puts: list[Callable[[], None]] = []
        with computing(self.device, precision):
            image = group.source.cut(regions[0], group.taken)
            painted = tile
            for index, footprint, region, needed in zip(group.stages, footprints, regions, regions[1:], strict=False):
                name = self.chain.names[index]
                painted = painted.scaled(footprint.scale)
                with self.stopwatch.lap(name), collected_findings() as found:
                    made = self.chain.run_stage(index, image, group.measured.get(name))
                    passed_on = made is image  # at strength 0
                    if found:
                        self.blurs[name] = found[-1]
                    image = _crop(made, needed, region.scaled(footprint.scale))
                    del made  # or what was cropped would stay until the next stage has run
                    if not passed_on:
                        finite[name] = image.sum().isfinite()
                        image = image.clamp(0, 1)
                if name in self.canvas.made:
                    puts.append(self.canvas.paint(name, painted, group.frames, _crop(image, painted, needed)))
                self._count_step()
            if group.target is not None:
                puts.append(partial(_put, group.target, painted, _crop(image, painted, needed)))
            answers = torch.stack(list(finite.values())) if finite else torch.empty(0)
            return _Part(group, tile, list(finite), down(answers), puts)

    def _count_step(self) -> None:
        """Report a stage of a tile; those computed again in fp32 do not count."""
        self._steps_done = min(self._steps_done + 1, self._steps)
        self.watch(self._steps_done / self._steps)


def _put(target: Tensor, region: Region, image: Tensor) -> None:
    target[..., *region.slices] = image


def _crop(image: Tensor, wanted: Region, covered: Region) -> Tensor:
    rows, columns = wanted.within(covered)
    return image[..., rows, columns]
