"""How much memory there is, how much a stage takes, and what it looks like when there is too little."""

from __future__ import annotations

import gc
import math
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pipeline.engine.stand_in import StandIn
from pipeline.tiling import TILE_STEP, Footprint, Region, Span, equal_part, needed_regions, round_up
from stages.stage import Stage

SMALLEST_TILE = 64
# The rest is for the allocator's waste, the convolutions' workspaces, the picture itself and everybody else.
SHARE_OF_FREE = 0.35
# What tiles are planned for on a CPU, however much is free: four times as much would save a seventh of the arithmetic.
_ENOUGH_ON_CPU = 2**30
# Kernels of a GPU may count a tensor's elements in 32 bits, and no tensor is larger than all that there are together.
_MOST_ON_GPU = 4 * 2**31 / SHARE_OF_FREE
# Only CUDA and NumPy have error types of their own for it. The last is what cuDNN says where no workspace is left.
_SIGNS_OF_TOO_LITTLE = ("out of memory", "can't allocate memory", "bad_alloc", "ALLOC_FAILED", "find an engine to exec")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of any device, or of NumPy, means that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS_OF_TOO_LITTLE)


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()


def half_of(tile: int) -> int | None:
    """Return the tile to try after one that did not fit; None if there is no smaller one."""
    return round_up(-(-tile // 2), TILE_STEP) if tile > SMALLEST_TILE else None


def largest_tile(
    height: int, width: int, footprints: Sequence[Footprint], costs: Sequence[float], available: float
) -> int:
    """Return the largest tile with which every stage stays within its share of the memory.

    Args:
        height: Of the image.
        width: Of the image.
        footprints: The chain's stages.
        costs: Each stage's ``bytes_per_pixel``.
        available: Bytes that are free.

    Returns:
        A tile; not less than the image's longer side if the whole image fits, ``SMALLEST_TILE`` if none does.
    """
    for tile in range(round_up(max(height, width), TILE_STEP), SMALLEST_TILE, -TILE_STEP):
        regions = needed_regions(_middle(height, width, tile), footprints, height, width)
        taken = max(region.area * cost for region, cost in zip(regions, costs, strict=False))
        if taken <= available * SHARE_OF_FREE:
            return tile
    return SMALLEST_TILE


def bytes_per_pixel(stage: Stage, device: torch.device) -> float:
    """Return the most bytes that a stage holds at once per pixel of its input, in fp32.

    Found by running it on a small image; infinite if even that does not fit. Memory that an operation takes and
    frees inside itself is not seen. For a stage that another engine runs, torch's need is measured instead.
    """
    stage = stage.original if isinstance(stage, StandIn) else stage
    side = round_up(SMALLEST_TILE, stage.multiple_of)
    try:
        with torch.inference_mode(), _LiveBytes() as live:
            stage(torch.zeros(1, 3, side, side, device=device))
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            return math.inf
        raise
    return live.peak / side**2


class _LiveBytes(TorchFunctionMode):
    """Follows the bytes of all tensors made inside it, by every operation, for as long as they live."""

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


def free_memory(device: torch.device) -> float:
    """Return the bytes that could still be taken on a device."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return min(_free_host_memory(), _container_limit())


def memory_for_tiles(device: torch.device) -> float:
    """Return the bytes that tiles are planned for: those that are free, up to what is of use."""
    return min(free_memory(device), _ENOUGH_ON_CPU if device.type == "cpu" else _MOST_ON_GPU)


def _free_host_memory() -> int:
    """Return what Linux says is available; elsewhere half of what is built in; 4 GiB where nobody tells."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        fields = dict(line.split(":") for line in meminfo.read_text(encoding="ascii").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 4 * 2**30


def _container_limit() -> float:
    """Return the bytes at which a container's process is killed without a word; infinite outside of one."""
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.is_file() else "max"
    return math.inf if text == "max" else int(text)


def _middle(height: int, width: int, tile: int) -> Region:
    """Return a tile in the middle of an image, where it has the most around it."""
    rows, columns = equal_part(height, tile), equal_part(width, tile)
    top, left = max(0, height - rows) // 2, max(0, width - columns) // 2
    return Region(Span(top, min(height, top + rows)), Span(left, min(width, left + columns)))
