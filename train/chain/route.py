"""Which stages a training image goes through: the trained one alone, or with those around it in a chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig, load_chain_config
from pipeline.errors import ConfigError
from pipeline.tiling import Footprint, round_up, total_halo, total_multiple_of, total_scale
from stages.stage import FileBeside, Section, StageConfig

# Measured with the shipped denoiser (halo 33) and a deblurring U-Net (halo 47): the zeros beyond the border change the
# result by 5 gray levels at the border and by 0.03 at 16 pixels from it. More margin would cost time for nothing.
_FELT_HALO = 16


@dataclass(frozen=True)
class Route:
    """The stages from a degraded image to the result that is compared with the clean one, and which one is trained.

    Attributes:
        chain: All of them.
        index: Of the trained one.
        footprints: What each stage asks of its input.
    """

    chain: ChainConfig
    index: int
    footprints: tuple[Footprint, ...]

    @classmethod
    def through(cls, chain: ChainConfig, index: int = 0) -> Route:
        """Find out what the stages ask of their input; no weights are read."""
        with torch.device("meta"):
            return cls(chain, index, Chain(chain, [stage.build() for stage in chain.stages]).footprints)

    @property
    def scale(self) -> int:
        """Compared pixels per degraded pixel and axis."""
        return total_scale(self.footprints)

    @property
    def multiple_of(self) -> int:
        """What H and W of the degraded image must divide by."""
        return total_multiple_of(self.footprints)

    @property
    def margin(self) -> int:
        """Pixels to cut off every border of a degraded crop behind the stages before the trained one.

        That close to a border their results differ from those inside of an image. The trained stage itself and those
        after it need no margin, because the training allows for what happens at their borders.
        """
        before = self.footprints[: self.index]
        halo = total_halo(before)
        return round_up(_FELT_HALO if halo is None else min(halo, _FELT_HALO), total_multiple_of(before))

    def note(self) -> str:
        """Return what to add to ``trained_for`` on the card: the other stages; nothing if it was trained alone."""
        before, after = self.chain.stages[: self.index], self.chain.stages[self.index + 1 :]
        return (f"; behind {_listed(before)}" if before else "") + (
            f"; compared after {_listed(after)}" if after else ""
        )


class Place(Section):
    """The chain that a stage is trained inside of."""

    file: FileBeside = Field(description="the chain's YAML, relative to this one; same as --chain")
    stage: str | None = Field(None, description="name in the chain, such as dncnn_2; without it, the tag")
    share: float = Field(
        1.0, gt=0, le=1, description="of the training images that go through the stages before; others come as degraded"
    )
    loss_on: Literal["stage", "chain"] = Field("stage", description="whose result is compared with the clean image")

    def route(self, trained: StageConfig) -> Route:
        """Put the trained stage, at full strength, where the chain names it.

        Raises:
            ConfigError: for errors of the chain, other than that the stage's own weights are missing; and if it
                would refuse what is trained.
        """
        name = self.stage or trained.stage
        chain = load_chain_config(self.file, untrained=name, up_to_it=self.loss_on == "stage")
        index = chain.names.index(name)
        _refuse_other_options(trained, chain.stages[index], f"{self.file.name}: {name}")
        itself = trained.model_copy(update={"strength": 1.0, "weights": None})
        return Route.through(ChainConfig(stages=(*chain.stages[:index], itself, *chain.stages[index + 1 :])), index)


def _refuse_other_options(trained: StageConfig, wanted: StageConfig, place: str) -> None:
    """Refuse to train what the chain's own options would not take; those that it leaves out it reads from the card."""
    if trained.stage != wanted.stage:
        raise ConfigError(f"{place} is {wanted.stage}, but `stage:` is {trained.stage}")
    have, want = trained.architecture(), wanted.architecture()
    differing = [key for key in want if key in wanted.model_fields_set and have[key] != want[key]]
    if differing:
        differences = ", ".join(f"{key}: {want[key]!r}, but `stage:` has {have[key]!r}" for key in differing)
        raise ConfigError(f"{place} says {differences}; make them agree")


def _listed(stages: Iterable[StageConfig]) -> str:
    """Name stages and their weights: ``dncnn (denoise_blind), unsharp_mask``."""
    return ", ".join(
        " ".join([stage.stage, *(f"({path.stem})" for path in stage.files().values())]) for stage in stages
    )
