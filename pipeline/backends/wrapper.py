"""Stages that do another stage's work in another way."""

from __future__ import annotations

from stages.stage import Stage


class StageWrapper(Stage):
    """A stage in the place of another, with the same contract and, within a tested bound, the same result.

    Args:
        original: The stage that it stands for; measured in its place when memory is planned.
    """

    def __init__(self, original: Stage) -> None:
        super().__init__()
        self.scale, self.multiple_of, self.halo = original.scale, original.multiple_of, original.halo
        self.original = original

    @property
    def label(self) -> str:
        """What runs the stage, for the report."""
        return "torch"

    def forget(self) -> None:
        """Free what can be made again when it is needed; nothing, unless a stand-in says otherwise."""
