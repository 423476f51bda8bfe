"""Memory limits of a device, and out-of-memory detection."""

from __future__ import annotations

import gc
import math
import os
from pathlib import Path

import torch

# The rest is for the allocator's waste, the convolutions' workspaces, the image itself and other processes.
SHARE_OF_FREE = 0.35
# What tiles are planned for on a CPU, however much is free: four times as much would save a seventh of the arithmetic.
_ENOUGH_ON_CPU = 2**30
# Longer tiles gain nothing on a CPU: an unsharp mask took 1.8 times as long with 2,800 as with 512, and 1.6 GiB more.
_LONGEST_ON_CPU = 1536
# Kernels of a GPU may count a tensor's elements in 32 bits, and no tensor is larger than all that there are together.
_MOST_ON_GPU = 4 * 2**31 / SHARE_OF_FREE
# Only CUDA and NumPy have error types of their own for it. The last is what cuDNN says where no workspace is left.
_SIGNS_OF_TOO_LITTLE = ("out of memory", "can't allocate memory", "bad_alloc", "ALLOC_FAILED", "find an engine to exec")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, of any device or of NumPy, means that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS_OF_TOO_LITTLE)


def release(device: torch.device) -> None:
    """Return unreferenced memory to the device."""
    gc.collect()
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()


def free_memory(device: torch.device) -> float:
    """Return the bytes that can still be allocated on a device."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return min(_free_host_memory(), _container_limit())


def memory_for_tiles(device: torch.device) -> float:
    """Return the bytes that tiles are planned for: the free ones, up to a useful maximum."""
    return min(free_memory(device), _ENOUGH_ON_CPU if device.type == "cpu" else _MOST_ON_GPU)


def longest_tile(device: torch.device) -> float:
    """Return the side in pixels beyond which tiles gain nothing."""
    return _LONGEST_ON_CPU if device.type == "cpu" else math.inf


def most_memory_for_tiles(device: torch.device) -> float:
    """Return the bytes that tiles may take where less would compute most pixels several times."""
    return free_memory(device) if device.type == "cpu" else memory_for_tiles(device)


def _free_host_memory() -> int:
    """Return what Linux reports as available; elsewhere half of the installed memory; 4 GiB where it is unknown."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        fields = dict(line.split(":") for line in meminfo.read_text(encoding="ascii").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 4 * 2**30


def _container_limit() -> float:
    """Return the memory limit of a container (cgroup v2) in bytes; infinite outside of one."""
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.is_file() else "max"
    return math.inf if text == "max" else int(text)
