"""The training YAML as types: the same ``stage:`` block as in a chain, and how it is trained."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.chain.yaml_document import ConfigProblem, parse_value, read_document
from pipeline.chain.yaml_validation import check, did_you_mean
from pipeline.errors import ConfigError
from stages.dncnn import DnCNNConfig
from stages.encoder_unet import EncoderUNetConfig
from stages.registry import AnyStageConfig
from stages.stage import LearnedStageConfig, Section
from train.chain.route import Place
from train.data.layouts import BlurFolder
from train.degradation.sequence import Degradation
from train.losses.noise_level import NoiseLevelTraining
from train.losses.objective import FormulaTerm, Terms
from train.optimizers import OPTIMIZERS
from train.pretrained import Pretrained
from train.teacher import TeacherConfig

# What keys were called before, by their dotted path.
_RENAMED = {
    "rate": "learning_rate",
    "clip": "grad_clip",
    "ema": "ema_decay",
    "data.crop": "crop_size",
    "data.batch": "batch_size",
    "data.oriented": "augment",
    "data.validation_crop": "validation_crop_size",
}


class DataConfig(Section):
    """Which crops are trained on and validated on, and how many."""

    crop_size: int = Field(64, ge=8, description="height and width of a clean crop in pixels")
    resize: Annotated[list[Annotated[int, Field(ge=8)]], Field(min_length=2, max_length=2)] | None = Field(
        None, description="[height, width] that whole clean images are resized to, instead of cutting crops of them"
    )
    augment: bool = Field(True, description="flip and rotate crops at random, into all eight orientations")
    batch_size: int = Field(16, ge=1, description="crops in a step, on each device")
    pair_share: float = Field(0.5, ge=0, le=1, description="share of a batch cut from real pairs, where given")
    pair_scales: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [1.0],
        min_length=1,
        description="sizes that pairs are trained on at, reduced by area; blurs get shorter likewise",
    )
    blur: BlurFolder = Field("blur", description="which of GoPro's versions: averaged in linear light, or in gamma")
    validation_crop_size: int = Field(192, ge=32, description="height and width of a validation image in pixels")
    validation_repeats: int | None = Field(
        None,
        ge=1,
        description="degraded versions of each sharp validation image, from mild to strong; "
        "without it, as many as make 16 samples in all",
    )
    held_out: int = Field(25, ge=2, description="one file in this many validates, unless --val is given")

    @property
    def clean_size(self) -> tuple[int, int]:
        """Height and width of the clean images in a batch."""
        return (self.resize[0], self.resize[1]) if self.resize else (self.crop_size, self.crop_size)

    @model_validator(mode="after")
    def _one_way_of_resizing(self) -> DataConfig:
        if self.resize and self.pair_scales != [1.0]:
            raise ValueError("pair_scales: has no effect on images of one size; leave it out, or resize")
        return self


class Schedule(Section):
    """How the learning rate changes during a run."""

    kind: Literal["auto", "plateau", "cosine"] = Field(
        "auto",
        description="plateau reduces it where the validation PSNR stops rising; cosine anneals it to zero within the "
        "budget (--max-time or --max-epochs); auto is cosine for runs with a budget and plateau for others",
    )
    factor: float = Field(0.5, gt=0, lt=1, description="what the learning rate is multiplied by on a plateau")
    patience: int = Field(5, ge=0, description="epochs without 0.005 dB more in validation that make a plateau")
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the budget in which cosine raises the learning rate")

    def resolved(self, *, has_budget: bool) -> Literal["plateau", "cosine"]:
        """Return the kind that a run takes."""
        if self.kind == "auto":
            return "cosine" if has_budget else "plateau"
        return self.kind


def _known_optimizer(name: str) -> str:
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}{did_you_mean(name, OPTIMIZERS)} Valid: {', '.join(OPTIMIZERS)}")
    return name


class TrainingConfig(Section):
    """Everything about a training run except its folders and its budget."""

    stage: AnyStageConfig
    trained_for: str = Field(description="one line for the weights' card")
    degradation: Degradation = Field(description="what makes a degraded image of a clean one, in order")
    clean_degradation: Degradation = Field(
        default_factory=list,
        description="what is done to clean images before that, and not to be undone: photos differ in sharpness",
    )
    pair_degradation: Degradation = Field(
        default_factory=list, description="what is done to the degraded side of real pairs"
    )
    chain: Place | None = Field(None, description="train behind the stages that come before it there")
    data: DataConfig = DataConfig()
    loss: Terms = Field([FormulaTerm(kind="l1")], description="what is minimized: a name, or a weighted list")
    teacher: TeacherConfig | None = Field(None, description="a better network to learn from, beside the clean images")
    noise_level: NoiseLevelTraining | None = Field(
        None, description="train the estimator of the noise level on the true one, for a stage that has it"
    )
    pretrained: Pretrained | None = Field(None, description="an encoder's published weights to start from")
    optimizer: Annotated[str, AfterValidator(_known_optimizer)] = Field(
        "adam", description="muon makes every filter bank's step orthogonal: short trainings get much further"
    )
    learning_rate: float = Field(1e-3, gt=0, description="learning rate at its highest")
    weight_decay: float = Field(0, ge=0, description="L2 penalty with adam, decoupled weight decay with muon")
    grad_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    accumulate: int = Field(1, ge=1, description="batches whose gradients are averaged for one optimizer step")
    ema_decay: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights, which are the ones kept")
    compile: bool = Field(False, description="compile the network: minutes at the start, faster steps from then on")
    schedule: Schedule = Schedule()
    steps_per_epoch: int = Field(500, ge=1, description="optimizer steps between two validations")
    early_stopping: int = Field(20, ge=1, description="epochs without 0.005 dB more in validation that end the run")
    sheet_epochs: int = Field(5, ge=1, description="epochs between two sheets of validation images")
    seed: int = 0

    @property
    def scale(self) -> int:
        """Clean pixels per degraded pixel and axis."""
        return math.prod(step.scale for step in self.degradation)

    @property
    def share(self) -> float:
        """Share of the training images that go through the stages before the trained one."""
        return self.chain.share if self.chain else 1.0

    @model_validator(mode="after")
    def _parts_fit(self) -> TrainingConfig:
        if not isinstance(self.stage, LearnedStageConfig):
            raise ValueError(f"stage: {self.stage.stage} has nothing to train")
        if self.pretrained and not isinstance(self.stage, EncoderUNetConfig):
            raise ValueError(f"pretrained: {self.stage.stage} has no encoder with published weights; leave it out")
        if self.noise_level and not (isinstance(self.stage, DnCNNConfig) and self.stage.estimator):
            raise ValueError(f"noise_level: {self.stage.stage} has no estimator of it; leave it out")
        if math.prod(step.scale for step in self.pair_degradation) != 1:
            raise ValueError("pair_degradation: must not downscale; the degraded side of pairs already is small")
        if math.prod(step.scale for step in self.clean_degradation) != 1:
            raise ValueError("clean_degradation: must not downscale; reduce the images beforehand")
        return self


def read_config(path: Path, changes: Sequence[str] = ()) -> TrainingConfig:
    """Read a training YAML with some values changed.

    Args:
        path: The YAML.
        changes: ``KEY=VALUE``: a dotted path (``data.crop_size``, ``degradation.0.sigma``) and a value in YAML's
            spelling.

    Raises:
        ConfigError: with one line per problem; one that comes from the changes says so.
    """
    document = read_document(path)
    data = copy.deepcopy(document.data)
    for change in changes:
        _change(data, change)
    config, problems = check(document, data, TrainingConfig)
    if config is None or problems:
        _, of_file = check(document, document.data, TrainingConfig)
        note = changes_note(changes)
        raise document.error(
            [_explained(problem if problem in of_file else _noted(problem, note)) for problem in problems]
        )
    return config


def changes_note(changes: Sequence[str]) -> str:
    """Return what to add to an error that the changes may cause."""
    return f" (with {' '.join(f'--set {change}' for change in changes)})" if changes else ""


def _noted(problem: ConfigProblem, note: str) -> ConfigProblem:
    return problem._replace(text=problem.text + note)


def _explained(problem: ConfigProblem) -> ConfigProblem:
    """Name the new key where a file has an old one."""
    new = _RENAMED.get(".".join(map(str, problem.location)))
    return problem._replace(text=f"was renamed; did you mean {new!r}?") if new else problem


def _change(data: dict[str, Any], change: str) -> None:
    """Apply one ``KEY=VALUE`` in place; missing sections are created."""
    key, equals, text = change.partition("=")
    if not (key and equals):
        raise ConfigError(f"set: got {change!r}, expected KEY=VALUE, such as data.batch_size=8")
    if key in _RENAMED:
        raise ConfigError(f"set: {key} was renamed; did you mean {_RENAMED[key]!r}?")
    *sections, last = key.split(".")
    place: Any = data
    try:
        for section in sections:
            place = place.setdefault(section, {}) if isinstance(place, dict) else place[int(section)]
        place[last if isinstance(place, dict) else int(last)] = parse_value(text)
    except (TypeError, ValueError, IndexError):
        raise ConfigError(f"set: {change}: the file has no such place") from None
    except ConfigError as error:
        raise ConfigError(f"set: {change}: {error}") from None
