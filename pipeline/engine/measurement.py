"""Measure what stages have to know of a whole image, before it is cut into tiles.

A fixed grid of crops stands for the image, so that the cost does not grow with it and the result depends neither on
tiles nor on batches. Crops go through the stages before the measuring one, in fp32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline.device.computing import computing
from pipeline.engine.canvas import Canvas
from pipeline.tiling import Region, Span, round_up

if TYPE_CHECKING:
    from pipeline.chain.chain import Chain

_CROP, _CROPS_PER_SIDE = 128, 4


def measure(chain: Chain, stages: range, source: Canvas[Any], frames: slice, device: torch.device) -> dict[str, Tensor]:
    """Return what stages that measure find in each frame, ``(frames, measures, 1, 1)``, by the stage's name.

    Args:
        chain: The chain.
        stages: Indices of the stages that run on the source one after another.
        source: Holds their input.
        frames: Those to measure.
        device: Where the stages are.
    """
    measuring = [index for index in stages if _measures(chain, index)]
    if not measuring:
        return {}
    count, height, width = source.shape
    regions = _grid(height, width, chain.multiple_of)
    leading = range(stages.start, measuring[-1] + 1)
    found = [
        _measure_frame(chain, leading, source, slice(frame, frame + 1), regions, device)
        for frame in range(*frames.indices(count))
    ]
    return {name: torch.cat([values[name] for values in found]) for name in found[0]}


def _measures(chain: Chain, index: int) -> bool:
    return chain.stages[index].measures > 0 and chain.strengths[index] > 0


def _measure_frame(
    chain: Chain, stages: range, source: Canvas[Any], frame: slice, regions: list[Region], device: torch.device
) -> dict[str, Tensor]:
    found = {}
    with computing(device, "fp32"):
        crops = torch.cat([source.cut(region, frame) for region in regions])
        for index in stages:
            values = None
            if _measures(chain, index):
                values = found[chain.names[index]] = chain.stages[index].measure(crops).mean(dim=0, keepdim=True)
            if index < stages[-1]:
                crops = chain.run_stage(index, crops, values).clamp(0, 1)
    return found


def _grid(height: int, width: int, multiple_of: int) -> list[Region]:
    return [Region(rows, columns) for rows in _spans(height, multiple_of) for columns in _spans(width, multiple_of)]


def _spans(length: int, multiple_of: int) -> list[Span]:
    """Spread crops evenly; those of an image that is smaller than one reach beyond it, where its border repeats."""
    side = round_up(min(length, _CROP), multiple_of)
    count = max(1, min(_CROPS_PER_SIDE, length // side))
    room = max(0, length - side)
    starts = [room * (2 * number + 1) // (2 * count) for number in range(count)]
    return [Span(start, start + side) for start in starts]
