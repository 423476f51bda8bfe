"""A teacher: a better network whose output on the same degraded crop the trained stage learns, beside the clean image.

Knowledge distillation: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015,
https://arxiv.org/abs/1503.02531. Its output lacks the detail that cannot be guessed, so that gradients are quieter.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from pydantic import Field, field_validator
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.tiling import Footprint
from stages.catalogue.entry import entry_paths
from stages.dncnn import DnCNN
from stages.layers import with_planes
from stages.registry import config_from, load_stage
from stages.stage import FileBeside, Section
from stages.weights import Card, read_card, shipped_weights
from train.losses.noise_level import noise_level_of


class TeacherConfig(Section):
    """Which network teaches, and how much of the loss compares with its output."""

    stage: str = Field(description="the teacher's stage, as its card says")
    weights: FileBeside = Field(description="its weights: a name that `weights list` shows, or a file")
    share: float = Field(0.5, gt=0, le=1, description="of the loss that compares with the teacher's output")

    @field_validator("weights", mode="before")
    @classmethod
    def _named(cls, weights: Any) -> Any:
        known = {**entry_paths(), **shipped_weights()}
        return str(known.get(weights, weights)) if isinstance(weights, str) else weights

    @cached_property
    def card(self) -> Card:
        """Return the card of the weights.

        Raises:
            WeightsError: if the file is no weights file of this version.
        """
        return read_card(self.weights)

    def note(self) -> str:
        """Return what the card of a student says of its teacher: ``smfanet (smfanet.safetensors; Zheng et al.)``."""
        return f"{self.stage} ({self.weights.name}; {self.card.origin})"

    def refuse_other(self, trained: Footprint, size: tuple[int, int]) -> None:
        """Make sure that the teacher can stand in the trained stage's place.

        Args:
            trained: What the trained stage asks of its input.
            size: Height and width of the crops that reach it.

        Raises:
            ConfigError: if the teacher is another stage than named, or takes or makes images of another size.
            WeightsError: if the file is no weights file of this version.
        """
        config = config_from(self.card)
        if config.stage != self.stage:
            raise ConfigError(f"teacher.stage: got {self.stage}, but {self.weights} holds {config.stage}")
        with torch.device("meta"):
            teacher = config.build()
        if teacher.scale != trained.scale:
            raise ConfigError(
                f"teacher.weights: {self.weights} upscales by {teacher.scale}, expected {trained.scale}, "
                "as the trained stage does"
            )
        if any(side % teacher.multiple_of for side in size):
            height, width = size
            raise ConfigError(
                f"teacher.weights: {self.weights} takes multiples of {teacher.multiple_of} pixels, but the degraded "
                f"crops have {width}x{height}; change data.crop_size"
            )


class Teacher:
    """The teacher at work: in eval mode, frozen.

    It is no ``nn.Module``, and a deep copy of it is the object itself, because it belongs neither into checkpoints nor
    into the averaged copy of the trained stage.

    Args:
        config: Which network, and its share of the loss.
        device: Where it runs.

    Raises:
        WeightsError: if the weights do not fit their card.
    """

    def __init__(self, config: TeacherConfig, device: torch.device) -> None:
        self.share = config.share
        stage = load_stage(config.weights)
        self.takes_noise_level = isinstance(stage, DnCNN) and stage.noise_level_input
        if isinstance(stage, DnCNN):
            stage.noise_level = "auto"  # for those that take it: it comes with each image
        self.stage = stage.requires_grad_(False).to(device)
        self.stage.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, degraded: Tensor, clean: Tensor) -> Tensor:
        """Return what the student is to learn, ``(B, 3, scale * H, scale * W)`` in ``[0, 1]``.

        Args:
            degraded: ``(B, 3, H, W)``.
            clean: From it comes the true noise level, for a teacher that takes it. Of the degraded one's size then.
        """
        given = with_planes(degraded, noise_level_of(degraded, clean)) if self.takes_noise_level else degraded
        return self.stage(given).clamp(0, 1)

    def __deepcopy__(self, memo: dict[int, Any]) -> Teacher:
        return self
