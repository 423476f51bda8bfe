"""Compile stages for a GPU, for frequent shapes.

Inductor fuses what stands between the convolutions into few kernels. Nothing is captured as a CUDA graph, which would
need threads and memory of its own, until a GPU shows that it pays.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.backends.wrapper import StageWrapper
from pipeline.device.memory import is_out_of_memory
from stages.layers import polyphase_filters
from stages.stage import Stage

_log = logging.getLogger(__name__)

Run = Callable[[Tensor], Tensor]
# Compiling takes seconds to a minute, a frame milliseconds.
FREQUENT = 100
MOST_SHAPES = 8
# What torch compiles of one function, here for all stages and shapes together, before it gives up; its default is 8.
_MOST_COMPILED = 256


def compile_stage(stage: Stage, image: Tensor) -> Run:
    """Compile a stage for the shape of an image, on its device and in the current precision.

    Inductor keeps compiled kernels in its disk cache between runs.
    """
    # If it were traced, it would be computed anew for every image. Not at the top of the file, because this imports
    # the compiler, which takes a second.
    torch.compiler.assume_constant_result(polyphase_filters)
    compiled = torch.compile(stage, dynamic=False)

    def run(image: Tensor) -> Tensor:
        result: Tensor = compiled(image.contiguous(memory_format=torch.channels_last))  # other strides compile anew
        return result

    stage(image)  # fills the stage's caches before they are traced
    with torch._dynamo.config.patch(cache_size_limit=_MOST_COMPILED):
        run(image)
    return run


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

    def _compiled_for(self, image: Tensor) -> Run:
        started = time.perf_counter()
        try:
            run = self._compile(self.original, image)
        except Exception as error:  # no Triton, as on Windows, or no C compiler
            if is_out_of_memory(error):
                raise
            _log.warning("%s is not compiled: %s", type(self.original).__name__, error)
            return self.original
        self._seconds += time.perf_counter() - started
        return run
