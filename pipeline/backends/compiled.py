"""Stages compiled for a GPU and captured as CUDA graphs, for the shapes that come often enough."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.memory import is_out_of_memory
from stages.stage import Stage

_log = logging.getLogger(__name__)
Run = Callable[[Tensor], Tensor]

# Compiling takes seconds to a minute, a frame milliseconds; and every captured shape holds memory.
FREQUENT = 100
MOST_SHAPES = 8


def compile_stage(stage: Stage) -> Run:
    """Compile a stage for one shape; what is compiled stays in inductor's cache on the disk between runs."""
    return torch.compile(stage, mode="reduce-overhead", dynamic=False)


class CompiledStage(Stage):
    """A stage that is compiled for a shape once that has come ``frequent`` times.

    Every shape is compiled as it is, not padded to a common one: a network answers differently beside a border.

    Args:
        original: The stage.
        frequent: Runs of a shape before it is compiled; 0 compiles at once.
        compile: Makes a function of a stage, for one shape.
    """

    label = "torch compiled"

    def __init__(self, original: Stage, frequent: int, compile: Callable[[Stage], Run] = compile_stage) -> None:
        super().__init__()
        self.scale, self.multiple_of, self.halo = original.scale, original.multiple_of, original.halo
        self.original = original
        self._frequent = frequent
        self._compile = compile
        self._met: Counter[tuple[object, ...]] = Counter()
        self._compiled: dict[tuple[object, ...], Run] = {}

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, as ``original`` would."""
        # Autocast is part of it, because what half precision cannot hold is run again in fp32.
        key = (*image.shape, torch.is_autocast_enabled(image.device.type))
        self._met[key] += 1
        if key not in self._compiled:
            if self._met[key] <= self._frequent or len(self._compiled) == MOST_SHAPES:
                return self.original(image)
            self._compiled[key] = self._compile(self.original)
        try:
            # A captured graph writes every result to the same place, hence the copy.
            return self._compiled[key](image).clone()
        except Exception as error:
            if is_out_of_memory(error):
                raise
            _log.warning("torch cannot compile %s, which runs on without: %s", type(self.original).__name__, error)
            self._compiled[key] = self.original
            return self.original(image)


def compiled(stage: Stage, frequent: int) -> Stage:
    """Return a stage that is compiled when it pays; a stage that already is, as it is."""
    return stage if isinstance(stage, CompiledStage) else CompiledStage(stage, frequent)
