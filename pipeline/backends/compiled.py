"""Compile stages for a GPU and capture them as CUDA graphs, for frequent shapes.

    compile    inductor fuses what stands between the convolutions into few kernels
    capture    all kernels of the stage, with cuDNN's fastest convolutions, are launched at once

torch.compile's mode ``reduce-overhead`` would capture too, but its graphs belong to the thread that made them
(https://github.com/pytorch/pytorch/issues/123177), and every video is computed in a thread of its own. Here one thread,
which never ends, captures for all: cuDNN's convolution plans belong to a thread as well, and are lost with it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline.backends.wrapper import StageWrapper
from pipeline.device.computing import cudnn_flags
from pipeline.device.memory import is_out_of_memory
from stages.layers import polyphase_filters
from stages.stage import Stage

_log = logging.getLogger(__name__)
Run = Callable[[Tensor], Tensor]

# Compiling takes seconds to a minute, a frame milliseconds; and every captured shape holds memory.
FREQUENT = 100
MOST_SHAPES = 8
_WARM_UPS = 3
# What torch compiles of one function, here for all stages and shapes together, before it gives up; its default is 8.
_MOST_COMPILED = 256


class HostNeededError(Exception):
    """A stage cannot be captured, because it synchronises the host and the device."""


def compile_stage(stage: Stage, image: Tensor) -> Run:
    """Compile and capture a stage for the shape of an image, on its device and in the current precision.

    Inductor keeps compiled kernels in its disk cache between runs.

    Raises:
        HostNeededError: if the stage cannot be captured.
    """
    image = image.clone()  # with the strides that the captured one will have: others are compiled anew
    stage(image)  # fills the stage's caches before the capture
    with WithoutHost(image.device):
        stage(image)
    return _in_capturing_thread(image.device, lambda: _Captured(_fused(stage, image), image))


def _fused(stage: Stage, image: Tensor) -> Run:
    """Compile a stage; return it unchanged where torch cannot."""
    # If it were traced, it would be computed anew for every image. Not at the top of the file, because this imports
    # the compiler, which takes a second.
    torch.compiler.assume_constant_result(polyphase_filters)
    fused: Run = torch.compile(stage, dynamic=False)
    try:
        with torch._dynamo.config.patch(cache_size_limit=_MOST_COMPILED):
            fused(image)
    except Exception as error:  # no Triton, as on Windows, or no C compiler
        if is_out_of_memory(error):
            raise
        _log.warning("torch cannot compile %s, which is captured uncompiled: %s", type(stage).__name__, error)
        return stage
    return fused


def _in_capturing_thread(device: torch.device, work: Callable[[], Run]) -> Run:
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


class _Captured:
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


class CompiledStage(StageWrapper):
    """A stage that is compiled for every shape that has occurred ``frequent`` times.

    Shapes are not padded to a common one: a network's result beside a border depends on the border.

    Args:
        original: The stage.
        frequent: Runs of a shape before it is compiled; 0 compiles at once.
        compile: Compiles a stage for the shape of an image.
    """

    def __init__(self, original: Stage, frequent: int, compile: Callable[[Stage, Tensor], Run] = compile_stage) -> None:
        super().__init__(original)
        self._frequent = frequent
        self._compile = compile
        self._met: Counter[tuple[object, ...]] = Counter()
        self._compiled: dict[tuple[object, ...], Run] = {}
        self._seconds = 0.0

    @property
    def label(self) -> str:
        """What runs the stage, and the seconds spent on compiling it."""
        return f"torch compiled in {self._seconds:.1f} s" if self._seconds else "torch"

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, as ``original`` would."""
        # Autocast is part of it, because what half precision cannot hold is run again in fp32.
        key = (*image.shape, torch.is_autocast_enabled(image.device.type))
        self._met[key] += 1
        if key not in self._compiled:
            if self._met[key] <= self._frequent or len(self._compiled) == MOST_SHAPES:
                return self.original(image)
            self._compiled[key] = self._compiled_for(image)
        return self._compiled[key](image)

    def forget(self) -> None:
        """Free the compiled functions; they are compiled again when needed."""
        self._compiled.clear()

    def _compiled_for(self, image: Tensor) -> Run:
        started = time.perf_counter()
        try:
            run = self._compile(self.original, image)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            _log.warning("%s is neither compiled nor captured: %s", type(self.original).__name__, error)
            return self.original
        self._seconds += time.perf_counter() - started
        return run
