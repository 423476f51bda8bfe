"""Input and output types of back ends: named stages, and wrappers around stages."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from stages import layers
from stages.stage import Stage


@dataclass(frozen=True)
class NamedStage:
    """A stage of a chain, with what a back end needs to know of it.

    Attributes:
        name: Its name in the chain.
        stage: The module.
        options: The network's options, as text; with the weights the key of a converted model.
        runs: False at strength 0.
    """

    name: str
    stage: Stage
    options: str
    runs: bool = True

    @property
    def is_network(self) -> bool:
        """Whether it has weights and runs on single images, so that another engine may be worth while."""
        return self.runs and not self.stage.radius and next(self.stage.parameters(), None) is not None

    @cached_property
    def sha256(self) -> str:
        """Hash of the network's structure, code, options and weights."""
        digest = hashlib.sha256(f"{type(self.stage)} {self.options} {self.stage}".encode())
        for source in _sources(self.stage):
            digest.update(source)
        for name, tensor in self.stage.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()


def _sources(stage: Stage) -> list[bytes]:
    """Return the code of a network: of the modules that define its layers."""
    names = sorted({layers.__name__, *(type(module).__module__ for module in stage.modules())})
    files = [sys.modules[name].__file__ for name in names]
    return [Path(file).read_bytes() for file in files if file is not None]


class StageWrapper(Stage):
    """Runs a stage by other means: the same contract and, within a tested bound, the same result.

    Args:
        original: The wrapped stage; its memory is what is measured.
    """

    def __init__(self, original: Stage) -> None:
        super().__init__()
        self.scale, self.multiple_of, self.halo = original.scale, original.multiple_of, original.halo
        self.radius, self.measures = original.radius, original.measures
        self.original = original

    def measure(self, image: Tensor) -> Tensor:
        """Measure in torch, as ``original`` does."""
        return self.original.measure(image)

    @property
    def label(self) -> str:
        """What runs the stage, for the run log."""
        return "torch"
