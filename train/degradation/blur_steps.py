"""Steps that blur: by a kernel an image or a place, of moving objects, and by a camera that turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Generator, Tensor

from train.degradation import functions
from train.degradation.steps import Range, Step, draw, draw_index, draw_share


class Blur(Step):
    """One blur an image, of a kind drawn by the weights given."""

    kind: Literal["blur"] = "blur"
    gaussian: Range = Field([0.8, 2.0], description="standard deviation in pixels")
    defocus: Range = Field([1.0, 3.0], description="radius in pixels")
    shake: Range = Field([3.0, 9.0], description="extent of the camera's track in pixels")
    long_shake: Range = Field([9.0, 28.0], description="extent of the camera's track in pixels")
    weights: Annotated[list[float], Field(min_length=5, max_length=5)] = Field(
        [1.0, 1.0, 1.0, 0.0, 0.4], description="of gaussian, defocus, shake, long_shake and none at all"
    )
    places: int = Field(1, ge=1, description="this many by this many kernels an image, blended in between")
    objects: float = Field(0.0, ge=0, le=1, description="share of the images with an object that has its own blur")
    linear_light: float = Field(0.5, ge=0, le=1, description="share of the images blurred in linear light")

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
        return functions.kernel_size(max(possible, default=0)) // 2

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Blur every image by its own kernel, or kernels."""
        count = len(image)
        kernels = self.kernels(count * self.places**2, generator)
        spread = kernels.view(count, self.places, self.places, *kernels.shape[1:])
        linear = _draw_light(self.linear_light, count, generator)
        if not self.objects:
            return _in_light(image, linear, lambda light: functions.varying_blur(light, spread))
        shape, own = self._moving_objects(image, generator)

        def expose(light: Tensor) -> Tensor:
            return functions.object_blur(light, functions.varying_blur(light, spread), shape, own)

        return _in_light(image, linear, expose)

    def _moving_objects(self, image: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw where the objects are, none in some images, and their kernels."""
        count, _, *size = image.shape
        present = draw_share(count, generator) < self.objects
        shape = functions.random_shapes(count, (size[0], size[1]), image.device, generator)
        return shape * present.view(-1, 1, 1, 1), self.kernels(count, generator)

    def kernels(self, count: int, generator: Generator) -> Tensor:
        """Draw ``(count, K, K)`` kernels."""
        size = 2 * self.margin + 1
        choices = draw_index(self.weights, count, generator)
        every = torch.stack(
            [
                functions.gaussian_kernels(draw(self.gaussian, count, generator), size),
                functions.defocus_kernels(draw(self.defocus, count, generator), size),
                functions.shake_kernels(draw(self.shake, count, generator), size, generator),
                functions.shake_kernels(draw(self.long_shake, count, generator), size, generator),
                functions.defocus_kernels(torch.zeros(count, device=generator.device), size),
            ]
        )
        return every[choices, torch.arange(count, device=choices.device)]


class Shake(Step):
    """A hand-held camera that shifts and turns during exposure, so that the blur differs from place to place."""

    kind: Literal["shake"] = "shake"
    length: Range = Field([3.0, 9.0], description="extent of the camera's track in pixels")
    rotation: Range = Field([0.0, 9.0], description="travel of the corners by rotation about the centre, in pixels")
    linear_light: float = Field(0.5, ge=0, le=1, description="share of the images averaged in linear light")

    @property
    def margin(self) -> int:
        """Reach of the longest track, as of `Blur`."""
        return functions.kernel_size(0.75 * (self.length[1] + self.rotation[1])) // 2

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Expose every image along its own track."""
        length, rotation = (draw(bounds, len(image), generator) for bounds in (self.length, self.rotation))
        linear = _draw_light(self.linear_light, len(image), generator)
        return _in_light(image, linear, lambda light: functions.shake(light, length, rotation, generator))


def _draw_light(share: float, count: int, generator: Generator) -> Tensor:
    """Draw which of ``count`` images are worked on in linear light: ``(count,)`` booleans."""
    return draw_share(count, generator) < share


def _in_light(image: Tensor, linear: Tensor, degrade: Callable[[Tensor], Tensor]) -> Tensor:
    """Run ``degrade`` on those images in linear light that ``linear`` marks, on the others as they are."""
    marked = linear.view(-1, 1, 1, 1)
    result = degrade(torch.where(marked, functions.to_linear_light(image), image))
    return torch.where(marked, functions.from_linear_light(result), result)
