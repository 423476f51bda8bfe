"""Compile stages for a GPU and capture them as CUDA graphs, for frequent shapes.

Compiling by inductor fuses what stands between the convolutions into few kernels; the captured graph launches these
and cuDNN's fastest convolutions at once.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.backends.cuda_graph import Captured, Run, WithoutHost, in_capturing_thread
from pipeline.backends.wrapper import StageWrapper
from pipeline.device.memory import is_out_of_memory
from stages.layers import polyphase_filters
from stages.stage import Stage

_log = logging.getLogger(__name__)

# Compiling takes seconds to a minute, a frame milliseconds; and every captured shape holds memory.
FREQUENT = 100
MOST_SHAPES = 8
# What torch compiles of one function, here for all stages and shapes together, before it gives up; its default is 8.
_MOST_COMPILED = 256


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
    return in_capturing_thread(image.device, lambda: Captured(_fused(stage, image), image))


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
