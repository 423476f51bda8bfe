"""Choose the tile size: memory of a stage per pixel, and the largest tile that fits."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pipeline.backends.wrapper import StageWrapper
from pipeline.device.memory import SHARE_OF_FREE, is_out_of_memory
from pipeline.tiling import TILE_STEP, Footprint, Region, Span, equal_part, needed_regions, round_up, scales_before
from stages.stage import Stage

SMALLEST_TILE = 64
_MEASURED_SIDE = 32  # a quarter of the time of 64, for the same figures
_MOST_TIMES_COMPUTED = 2.0


def half_of(tile: int) -> int | None:
    """Return the tile size to try after one that did not fit; None at the smallest."""
    return round_up(-(-tile // 2), TILE_STEP) if tile > SMALLEST_TILE else None


def largest_tile(
    height: int,
    width: int,
    footprints: Sequence[Footprint],
    costs: Sequence[float],
    planned: float,
    most: float,
    longest: float,
) -> int:
    """Return the largest tile with which every stage stays within its share of the planned memory.

    Where its overlaps would more than double the work, of which the stages' memory is taken as the measure, it is the
    smallest with which they do not, or the largest that fits into ``most``.

    Args:
        height: Of the image.
        width: Of the image.
        footprints: The chain's stages.
        costs: Each stage's ``bytes_per_pixel``.
        planned: Bytes.
        most: Bytes that are free, not less than ``planned``.
        longest: Side in pixels beyond which a tile gains nothing.

    Returns:
        A tile; not less than the image's longer side if the whole image fits, ``SMALLEST_TILE`` if none does.
    """
    found = SMALLEST_TILE
    for tile in range(round_up(max(height, width), TILE_STEP), SMALLEST_TILE, -TILE_STEP):
        middle = _middle(height, width, tile)
        areas = [region.area for region in needed_regions(middle, footprints, height, width)[:-1]]
        taken = max(area * cost for area, cost in zip(areas, costs, strict=True))
        if taken > most * SHARE_OF_FREE:
            continue
        if _times_computed(areas, costs, middle, footprints) > _MOST_TIMES_COMPUTED:
            return found if found > SMALLEST_TILE else tile
        found = tile
        if taken <= planned * SHARE_OF_FREE and tile <= longest:
            break
    return found


def _times_computed(
    areas: Sequence[int], costs: Sequence[float], tile: Region, footprints: Sequence[Footprint]
) -> float:
    """Return the work with overlaps as a multiple of that without."""
    without = [tile.scaled(scale).area for scale in scales_before(footprints)]
    least = sum(area * cost for area, cost in zip(without, costs, strict=True))
    return sum(area * cost for area, cost in zip(areas, costs, strict=True)) / least if least else 1.0


def bytes_per_pixel(stage: Stage, device: torch.device) -> float:
    """Return a stage's peak memory in bytes per pixel of its input, in fp32; all frames that it is given count.

    Measured on a small image; infinite if even that does not fit. Memory that an operation allocates and frees
    internally is not seen. For a stage that another engine runs, torch's memory is measured instead.
    """
    stage = stage.original if isinstance(stage, StageWrapper) else stage
    side = round_up(_MEASURED_SIDE, stage.multiple_of)
    try:
        with torch.inference_mode(), _LiveBytes() as live:
            stage(torch.zeros(stage.input_shape(side, side), device=device))
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            return math.inf
        raise
    return live.peak / side**2


class _LiveBytes(TorchFunctionMode):
    """Tracks the bytes of all live tensors that operations inside it have made."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, int] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor):
                self._follow(tensor.untyped_storage())
        self.peak = max(self.peak, sum(self._alive.values()))
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._alive:
            self._alive[key] = storage.nbytes()
            weakref.finalize(storage, self._alive.pop, key)


def _middle(height: int, width: int, tile: int) -> Region:
    """Return a tile in the middle of an image, where it has the most around it."""
    rows, columns = equal_part(height, tile), equal_part(width, tile)
    top, left = max(0, height - rows) // 2, max(0, width - columns) // 2
    return Region(Span(top, min(height, top + rows)), Span(left, min(width, left + columns)))
