"""The training YAML as types: the same ``stage:`` block as in a chain, and how it is trained."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.chain.config import ChainConfig
from pipeline.chain.yaml_document import parse_value, read_document
from pipeline.chain.yaml_validation import check
from pipeline.errors import ConfigError
from pipeline.tiling import total_scale
from stages.encoder_unet import EncoderUNetConfig
from stages.registry import AnyStageConfig
from stages.stage import LearnedStageConfig, Section
from train.chain.route import Place, Route
from train.data.layouts import BlurFolder
from train.degradation.sequence import Recipe
from train.losses.objective import PlainTerm, Terms
from train.pretrained import Pretrained


class DataConfig(Section):
    """Which crops are learnt from and validated on, and how many."""

    crop: int = Field(64, ge=8, description="height and width of a clean crop in pixels")
    oriented: bool = Field(True, description="mirror and turn crops at random, into all eight orientations")
    batch: int = Field(16, ge=1, description="crops a step, on each device")
    pair_share: float = Field(0.5, ge=0, le=1, description="share of a batch cut from real pairs, where given")
    pair_scales: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [1.0],
        min_length=1,
        description="sizes that pairs are learnt at, reduced by area; blurs get shorter likewise",
    )
    blur: BlurFolder = Field("blur", description="which of GoPro's versions: averaged in linear light, or in gamma")
    validation_crop: int = Field(192, ge=32, description="height and width of a validation image in pixels")
    held_out: int = Field(25, ge=2, description="one file in this many validates, unless --val is given")


class PlateauSchedule(Section):
    """Lower the rate whenever the validation PSNR stops rising: for runs that may take their time."""

    kind: Literal["plateau"] = "plateau"
    factor: float = Field(0.5, gt=0, lt=1, description="what the rate is multiplied by")
    patience: int = Field(5, ge=0, description="epochs without a better validation PSNR")


class CosineSchedule(Section):
    """Bring the rate down to nothing within the budget (--max-time or --max-epochs): for runs on a clock."""

    kind: Literal["cosine"] = "cosine"
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the budget in which the rate rises")


class TrainingConfig(Section):
    """Everything about a training run except its folders and its budget."""

    stage: AnyStageConfig
    trained_for: str = Field(description="one line for the weights' card")
    degradation: Recipe = Field(description="what makes a degraded image of a clean one, in order")
    pair_degradation: Recipe = Field(
        default_factory=list, description="what is done to the degraded side of real pairs"
    )
    chain: Place | None = Field(None, description="train behind the stages that come before it there")
    data: DataConfig = DataConfig()
    loss: Terms = Field([PlainTerm(kind="l1")], description="what is made small: a name, or a weighted list")
    pretrained: Pretrained | None = Field(None, description="an encoder's published weights to start from")
    optimizer: Literal["adam", "muon"] = Field(
        "adam", description="muon makes every filter bank's step orthogonal: short trainings get much further"
    )
    rate: float = Field(1e-3, gt=0, description="learning rate at its highest")
    weight_decay: float = Field(0, ge=0, description="L2 penalty on the weights with adam, shrinkage by it with muon")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    accumulate: int = Field(1, ge=1, description="batches whose gradients are averaged for one optimizer step")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights, which are the ones kept")
    compile: bool = Field(False, description="compile the network: minutes at the start, faster steps from then on")
    schedule: Annotated[PlateauSchedule | CosineSchedule, Field(discriminator="kind")] = PlateauSchedule()
    steps_per_epoch: int = Field(500, ge=1, description="optimizer steps between two validations")
    early_stopping: int = Field(20, ge=1, description="epochs without a better validation PSNR")
    picture_epochs: int = Field(5, ge=1, description="epochs between two sheets of validation pictures")
    seed: int = 0

    @property
    def scale(self) -> int:
        """Clean pixels per degraded pixel and axis."""
        return math.prod(step.scale for step in self.degradation)

    @property
    def route(self) -> Route:
        """The stages that training images go through."""
        return self.chain.route(self.stage) if self.chain else Route(ChainConfig(stages=(self.stage,)))

    @property
    def share(self) -> float:
        """Share of the training images that go through the stages before the trained one."""
        return self.chain.share if self.chain else 1.0

    def widened(self) -> TrainingConfig:
        """Return this config with crops that are larger by the route's margin on every side."""
        crop = self.data.crop + 2 * self.route.margin * self.scale
        return self.model_copy(update={"data": self.data.model_copy(update={"crop": crop})})

    @model_validator(mode="after")
    def _parts_fit(self) -> TrainingConfig:
        if not isinstance(self.stage, LearnedStageConfig):
            raise ValueError(f"stage: {self.stage.stage} has nothing to learn")
        if self.pretrained and not isinstance(self.stage, EncoderUNetConfig):
            raise ValueError(f"pretrained: {self.stage.stage} has no encoder with published weights; leave it out")
        try:
            route = self.route
        except ConfigError as error:
            raise ValueError(f"chain: {error}") from error
        if self.scale != route.scale:
            stages = f"{', '.join(route.chain.names)} enlarge" if self.chain else "the stage enlarges"
            raise ValueError(f"degradation: shrinks images by {self.scale}, but {stages} by {route.scale}")
        if self.share < 1 and total_scale(route.footprints[: route.index]) != 1:
            raise ValueError("chain.share: must be 1 behind stages that enlarge, as other images would not fit in size")
        if math.prod(step.scale for step in self.pair_degradation) != 1:
            raise ValueError("pair_degradation: must not shrink; the degraded side of pairs already is small")
        multiple_of = route.scale * route.multiple_of
        if self.data.crop % multiple_of:
            names = ", ".join(route.chain.names)
            raise ValueError(f"data.crop: got {self.data.crop}, expected a multiple of {multiple_of} for {names}")
        return self


def read_training(path: Path, changes: Sequence[str] = ()) -> TrainingConfig:
    """Read a training YAML with some values changed.

    Args:
        path: The YAML.
        changes: ``KEY=VALUE``: a dotted path (``data.crop``, ``degradation.0.sigma``) and a value in YAML's spelling.

    Raises:
        ConfigError: with one line per mistake; a mistake that comes from the changes says so.
    """
    document = read_document(path)
    data = copy.deepcopy(document.data)
    for change in changes:
        _change(data, change)
    config, mistakes = check(document, data, TrainingConfig)
    if config is None or mistakes:
        _, of_file = check(document, document.data, TrainingConfig)
        told = f" (with {' '.join(f'--set {change}' for change in changes)})"
        raise document.error(
            [mistake if mistake in of_file else mistake._replace(text=mistake.text + told) for mistake in mistakes]
        )
    return config


def _change(data: dict[str, Any], change: str) -> None:
    """Apply one ``KEY=VALUE`` in place; missing sections are created."""
    key, equals, text = change.partition("=")
    if not (key and equals):
        raise ConfigError(f"--set {change}: expected KEY=VALUE, such as data.batch=8")
    *sections, last = key.split(".")
    place: Any = data
    try:
        for section in sections:
            place = place.setdefault(section, {}) if isinstance(place, dict) else place[int(section)]
        place[last if isinstance(place, dict) else int(last)] = parse_value(text)
    except (TypeError, ValueError, IndexError):
        raise ConfigError(f"--set {change}: the file has no such place") from None
    except ConfigError as error:
        raise ConfigError(f"--set {change}: {error}") from None
