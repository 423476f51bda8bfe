"""Degradation recipes: the YAML's list of what happens to a clean image, in that order, as types."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Generator, Tensor

from train import degradations

Range = Annotated[list[float], Field(min_length=2, max_length=2)]


class Step(BaseModel, ABC):
    """One degradation with the ranges that its parameters are drawn from, evenly, for every image."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @property
    def margin(self) -> int:
        """Pixels around a crop that the result inside it depends on."""
        return 0

    @property
    def scale(self) -> int:
        """Factor by which the image shrinks."""
        return 1

    @abstractmethod
    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Degrade ``(B, 3, H, W)``."""


class GaussianNoise(Step):
    """White Gaussian noise, not clipped."""

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    sigma: Range = Field(description="standard deviation in 8-bit grey levels")

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Add noise of one sigma an image."""
        return degradations.add_gaussian_noise(image, draw(self.sigma, len(image), generator), generator)


class Blur(Step):
    """One blur an image, of a kind drawn by the weights given; half of them in linear light."""

    kind: Literal["blur"] = "blur"
    gaussian: Range = Field([0.8, 2.0], description="standard deviation in pixels")
    defocus: Range = Field([1.0, 3.0], description="radius in pixels")
    shake: Range = Field([3.0, 9.0], description="extent of the camera's track in pixels")
    long_shake: Range = Field([9.0, 28.0], description="extent of the camera's track in pixels")
    weights: Annotated[list[float], Field(min_length=5, max_length=5)] = Field(
        [1.0, 1.0, 1.0, 0.0, 0.4], description="of gaussian, defocus, shake, long_shake and none at all"
    )

    @model_validator(mode="after")
    def _some_weight(self) -> Blur:
        if min(self.weights) < 0 or sum(self.weights) == 0:
            raise ValueError("weights must not be negative, nor all zero")
        return self

    @property
    def margin(self) -> int:
        """Radius of the largest kernel; 99 in 100 tracks end within 3/4 of their extent from their mean."""
        radii = [3 * self.gaussian[1], self.defocus[1], 0.75 * self.shake[1], 0.75 * self.long_shake[1]]
        possible = [radius for radius, weight in zip(radii, self.weights, strict=False) if weight]
        return degradations.kernel_size(max(possible, default=0)) // 2

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Blur every image by its own kernel."""
        kernels = self.kernels(len(image), generator)
        linear = torch.rand(len(image), generator=generator, device=image.device) < 0.5
        encoded = degradations.blur(image, kernels)
        light = degradations.blur(degradations.to_linear_light(image), kernels)
        return torch.where(linear.view(-1, 1, 1, 1), degradations.from_linear_light(light), encoded)

    def kernels(self, count: int, generator: Generator) -> Tensor:
        """Draw ``(count, K, K)`` kernels."""
        size = 2 * self.margin + 1
        choices = torch.multinomial(
            torch.tensor(self.weights, device=generator.device), count, replacement=True, generator=generator
        )
        every = torch.stack(
            [
                degradations.gaussian_kernels(draw(self.gaussian, count, generator), size),
                degradations.defocus_kernels(draw(self.defocus, count, generator), size),
                degradations.shake_kernels(draw(self.shake, count, generator), size, generator),
                degradations.shake_kernels(draw(self.long_shake, count, generator), size, generator),
                degradations.defocus_kernels(torch.zeros(count, device=generator.device), size),
            ]
        )
        return every[choices, torch.arange(count, device=choices.device)]


class Downscale(Step):
    """MATLAB's antialiased bicubic, rounded to 8 bit as files are."""

    kind: Literal["downscale"] = "downscale"
    factor: Literal[2, 3, 4] = Field(2, description="how many times smaller")

    @property
    def scale(self) -> int:
        """The factor."""
        return self.factor

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Shrink every image."""
        return degradations.bicubic_downscale(image, self.factor, rounded=True)


class Quantise(Step):
    """Clip and round to the 256 levels of a file."""

    kind: Literal["quantise"] = "quantise"

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Keep only what an 8-bit file keeps."""
        return degradations.quantise(image)


Recipe = list[Annotated[GaussianNoise | Blur | Downscale | Quantise, Field(discriminator="kind")]]


def margin(recipe: Recipe) -> int:
    """Pixels to cut around a clean crop so that nothing in it depends on what lies outside; in clean pixels."""
    scale, total = 1, 0
    for step in recipe:
        total += step.margin * scale
        scale *= step.scale
    return math.ceil(total / scale) * scale


def degrade(clean: Tensor, recipe: Recipe, generator: Generator) -> Tensor:
    """Run a recipe over ``(B, 3, H, W)`` clean images in ``[0, 1]``."""
    for step in recipe:
        clean = step.apply(clean, generator)
    return clean


def draw(bounds: list[float], count: int, generator: Generator) -> Tensor:
    """Draw ``count`` values evenly between two bounds."""
    low, high = bounds
    return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)
