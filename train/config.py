"""The training YAML as types: the same ``stage:`` block as in a chain, and how it is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stages.registry import AnyStageConfig
from train.recipe import Recipe

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class DataConfig(BaseModel):
    """Crops and how many."""

    model_config = _STRICT

    crop: int = Field(64, ge=8, description="height and width of a clean crop in pixels")
    batch: int = Field(16, ge=1, description="crops a step")
    pair_share: float = Field(0.5, ge=0, le=1, description="share of a batch cut from real pairs, where given")
    validation_crop: int = Field(192, ge=32, description="height and width of a validation image in pixels")
    held_out: int = Field(25, ge=2, description="one file in this many validates, unless --val is given")


class PlateauSchedule(BaseModel):
    """Lower the rate whenever the validation PSNR stops rising: for runs that may take their time."""

    model_config = _STRICT

    kind: Literal["plateau"] = "plateau"
    factor: float = Field(0.5, gt=0, lt=1, description="what the rate is multiplied by")
    patience: int = Field(5, ge=0, description="epochs without a better validation PSNR")


class CosineSchedule(BaseModel):
    """Bring the rate down to nothing within the budget (--max-time or --max-epochs): for runs on a clock."""

    model_config = _STRICT

    kind: Literal["cosine"] = "cosine"
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the budget in which the rate rises")


class TrainingConfig(BaseModel):
    """All of a training run but its folders and its budget."""

    model_config = _STRICT

    stage: AnyStageConfig
    trained_for: str = Field(description="one line for the weights' card")
    degradation: Recipe = Field(description="what makes a degraded image of a clean one, in order")
    pair_degradation: Recipe = Field(
        default_factory=list, description="what is done to the degraded side of real pairs"
    )
    data: DataConfig = DataConfig()
    loss: Literal["charbonnier", "l1", "mse", "psnr"] = "l1"
    rate: float = Field(1e-3, gt=0, description="learning rate of Adam at its highest")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights, which are the ones kept")
    schedule: Annotated[PlateauSchedule | CosineSchedule, Field(discriminator="kind")] = PlateauSchedule()
    steps_per_epoch: int = Field(500, ge=1, description="optimizer steps between two validations")
    early_stopping: int = Field(20, ge=1, description="epochs without a better validation PSNR")
    seed: int = 0
