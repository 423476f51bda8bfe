"""Capture what a stage does to images of one shape as a CUDA graph, whose kernels are launched at once.

torch.compile's mode ``reduce-overhead`` would capture too, but its graphs belong to the thread that made them
(https://github.com/pytorch/pytorch/issues/123177), and every video is computed in a thread of its own. Here one thread,
which never ends, captures for all: cuDNN's convolution plans belong to a thread as well, and are lost with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline.device.computing import cudnn_flags

Run = Callable[[Tensor], Tensor]
_WARM_UPS = 3


class HostNeededError(Exception):
    """A stage cannot be captured, because it synchronises the host and the device."""


def in_capturing_thread(device: torch.device, work: Callable[[], Run]) -> Run:
    """Run work that captures a graph, in the current precision and on the current stream.

    torch keeps cuDNN's plans by thread. A thread that has run a convolution without a search for its fastest plan never
    searches for it again; and a graph must not launch kernels of plans that were lost with their thread.
    """
    here, halved = torch.cuda.current_stream(device), torch.is_autocast_enabled(device.type)
    autocast = torch.autocast(device.type, torch.get_autocast_dtype(device.type), halved, cache_enabled=False)

    def run() -> Run:
        with torch.inference_mode(), torch.cuda.stream(here), autocast, cudnn_flags(benchmark=True):
            return work()

    return _capturing_thread().submit(run).result()


@lru_cache
def _capturing_thread() -> Executor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="capture")


class WithoutHost(TorchDispatchMode):
    """Refuses operations that use host memory or wait for a result, because a failed capture breaks later ones.

    Args:
        device: The only device that tensors may be on.

    Raises:
        HostNeededError: by the operation.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with self:  # inference mode hands on operations that are made of others whole
            result = func.decompose(*args, **(kwargs or {}))
        if result is not NotImplemented:
            return result
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        if _waits(func, tensors) or any(tensor.device != self._device for tensor in tensors):
            raise HostNeededError(f"{func} needs the host")
        return result


def _waits(func: Any, tensors: list[Tensor]) -> bool:
    """Return whether the host has to wait for an operation's result; indexing waits only for a mask."""
    if func.overloadpacket is torch.ops.aten.index:
        return any(tensor.dtype == torch.bool for tensor in tensors)
    return bool({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags))


class Captured:
    """A function captured as a CUDA graph for images of one shape."""

    def __init__(self, run: Run, image: Tensor) -> None:
        device = image.device
        stream, self._pool = _capturing_stream(device), _pools.setdefault(device, _Pool())
        self._run = run  # owns constants that the graph goes on reading
        self._given = image.clone()
        self._graph = torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                run(self._given)
            # Other threads copy and allocate meanwhile, which a graph may only not do itself.
            with torch.cuda.graph(self._graph, self._pool.handle, stream, capture_error_mode="thread_local"):
                self._made = run(self._given)
        torch.cuda.current_stream(device).wait_stream(stream)

    def __call__(self, image: Tensor) -> Tensor:
        """Return a copy of the result: the next run, of any graph, may write where it is."""
        self._given.copy_(image)
        self._graph.replay()
        return self._made.clone()


class _Pool:
    """The memory pool shared by all graphs of a device. It lives as long as any: torch cannot reopen a pool.

    They can share it because they run one after another on one stream, and results are copied immediately.
    """

    def __init__(self) -> None:
        self.handle = torch.cuda.graph_pool_handle()


_pools: WeakValueDictionary[torch.device, _Pool] = WeakValueDictionary()


@lru_cache
def _capturing_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the one stream of a device that graphs are captured on."""
    return torch.cuda.Stream(device)
