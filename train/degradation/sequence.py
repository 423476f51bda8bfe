"""Degradation recipes: the YAML's list of what happens to a clean image, in that order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from train.degradation.steps import (
    Blur,
    Downscale,
    GaussianNoise,
    Jpeg,
    PoissonGaussianNoise,
    Quantise,
    Shake,
    Step,
    draw,
)

__all__ = [
    "AnyStep",
    "Blur",
    "Downscale",
    "GaussianNoise",
    "Jpeg",
    "PoissonGaussianNoise",
    "Quantise",
    "Recipe",
    "Shake",
    "Shuffled",
    "Step",
    "degrade",
    "draw",
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
    GaussianNoise | PoissonGaussianNoise | Jpeg | Blur | Shake | Downscale | Quantise | Shuffled,
    Field(discriminator="kind"),
]
Recipe = list[AnyStep]


def scale(recipe: Sequence[Step]) -> int:
    """Return the factor by which the image shrinks in all."""
    return math.prod(step.scale for step in recipe)


def margin(recipe: Sequence[Step]) -> int:
    """Pixels to cut around a clean crop so that nothing in it depends on what lies outside; in clean pixels."""
    factor, total = 1, 0
    for step in recipe:
        total += step.margin * factor
        factor *= step.scale
    return math.ceil(total / factor) * factor


def degrade(clean: Tensor, recipe: Sequence[Step], generator: Generator) -> Tensor:
    """Run a recipe over ``(B, 3, H, W)`` clean images in ``[0, 1]``."""
    for step in recipe:
        degraded = step.apply(clean, generator)
        if step.probability < 1:
            spared = torch.rand(len(clean), generator=generator, device=generator.device) >= step.probability
            degraded = torch.where(spared.view(-1, 1, 1, 1), clean, degraded)
        clean = degraded
    return clean
