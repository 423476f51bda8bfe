"""Degradations as lists of steps: the YAML's list of what happens to a clean image, in that order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from train.degradation.blur_steps import Blur, Shake
from train.degradation.steps import (
    CameraNoise,
    Downscale,
    GaussianNoise,
    Jpeg,
    PoissonGaussianNoise,
    Quantise,
    Step,
    draw_share,
)

__all__ = [
    "AnyStep",
    "Blur",
    "CameraNoise",
    "Degradation",
    "Downscale",
    "GaussianNoise",
    "Jpeg",
    "PoissonGaussianNoise",
    "Quantise",
    "Shake",
    "Shuffled",
    "Step",
    "degrade",
    "margin",
    "scale",
]


class Shuffled(Step):
    """Other steps in an order drawn anew for every batch."""

    kind: Literal["shuffled"] = "shuffled"
    steps: list[AnyStep] = Field(min_length=2, description="what is shuffled")

    @property
    def margin(self) -> int:
        """As much as the least favourable order needs."""
        return sum(step.margin for step in self.steps) * self.scale

    @property
    def scale(self) -> int:
        """The factor of all of them."""
        return scale(self.steps)

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Run the steps in one random order."""
        order = torch.randperm(len(self.steps), generator=generator, device=generator.device)
        return degrade(image, [self.steps[index] for index in order.tolist()], generator)


AnyStep = Annotated[
    GaussianNoise | PoissonGaussianNoise | CameraNoise | Jpeg | Blur | Shake | Downscale | Quantise | Shuffled,
    Field(discriminator="kind"),
]
Degradation = list[AnyStep]


def scale(degradation: Sequence[Step]) -> int:
    """Return the factor by which the image is downscaled in all."""
    return math.prod(step.scale for step in degradation)


def margin(degradation: Sequence[Step]) -> int:
    """Pixels to cut around a clean crop so that nothing in it depends on what lies outside; in clean pixels."""
    factor, total = 1, 0
    for step in degradation:
        total += step.margin * factor
        factor *= step.scale
    return math.ceil(total / factor) * factor


def degrade(clean: Tensor, degradation: Sequence[Step], generator: Generator) -> Tensor:
    """Apply a degradation to ``(B, 3, H, W)`` clean images in ``[0, 1]``."""
    for step in degradation:
        clean = step.apply(clean, generator) if step.probability == 1 else _degrade_some(clean, step, generator)
    return clean


def _degrade_some(clean: Tensor, step: Step, generator: Generator) -> Tensor:
    chosen = draw_share(len(clean), generator) < step.probability
    if not chosen.any():
        return clean
    degraded = clean.clone()
    degraded[chosen] = step.apply(clean[chosen], generator)
    return degraded
