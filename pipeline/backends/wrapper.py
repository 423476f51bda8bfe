"""What a back end is given, and what it returns: stages, and stages wrapped around them."""

from __future__ import annotations

from typing import NamedTuple

from stages.stage import Stage


class NamedStage(NamedTuple):
    """A stage of a chain, as a back end is given it.

    Attributes:
        name: Its name in the chain.
        stage: The module.
        options: What the network was built with, as text; a converted model is kept by it and the weights.
        runs: False at strength 0.
    """

    name: str
    stage: Stage
    options: str
    runs: bool = True

    @property
    def is_network(self) -> bool:
        """Whether it has weights and runs, so that another engine may be worth while."""
        return self.runs and next(self.stage.parameters(), None) is not None


class StageWrapper(Stage):
    """Runs another stage in another way: the same contract and, within a tested bound, the same result.

    Args:
        original: The wrapped stage; measured in the wrapper's place when memory is planned.
    """

    def __init__(self, original: Stage) -> None:
        super().__init__()
        self.scale, self.multiple_of, self.halo = original.scale, original.multiple_of, original.halo
        self.original = original

    @property
    def label(self) -> str:
        """What runs the stage, for the run log."""
        return "torch"

    def forget(self) -> None:
        """Free what can be made again when it is needed; nothing by default."""
