"""The steps that a degradation is made of: what is drawn for every image, and from which ranges.

Those that blur are in ``blur_steps``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Generator, Tensor

from stages.stage import Section
from train.degradation import functions

Range = Annotated[list[float], Field(min_length=2, max_length=2)]


class Step(Section, ABC):
    """One degradation with the ranges that its parameters are drawn from, evenly, for every image."""

    probability: float = Field(1.0, ge=0, le=1, description="share of the images that it happens to")

    @model_validator(mode="after")
    def _one_size(self) -> Step:
        if self.probability < 1 and self.scale > 1:
            raise ValueError("a step that makes images smaller must happen to all of them; leave out `probability`")
        return self

    @property
    def margin(self) -> int:
        """Pixels around a crop that the result inside it depends on."""
        return 0

    @property
    def scale(self) -> int:
        """Factor by which the image is downscaled."""
        return 1

    @abstractmethod
    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Degrade ``(B, 3, H, W)``."""


class GaussianNoise(Step):
    """White Gaussian noise, not clipped."""

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    sigma: Range = Field(description="standard deviation in 8-bit gray levels")
    gray: float = Field(0.0, ge=0, le=1, description="share of the images with the same noise in R, G and B")

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Add noise of one sigma an image."""
        noisy = functions.add_gaussian_noise(image, draw(self.sigma, len(image), generator), generator)
        if not self.gray:
            return noisy
        gray = draw_share(len(image), generator) < self.gray
        return torch.where(gray.view(-1, 1, 1, 1), image + (noisy - image)[:, :1], noisy)


class PoissonGaussianNoise(Step):
    """A sensor's noise: that of counting photons and that of reading them out, in linear light."""

    kind: Literal["poisson_gaussian_noise"] = "poisson_gaussian_noise"
    photons: Range = Field(description="photons that make white; 100 at night, 10000 in the sun")
    read_noise: Range = Field([0.0, 3.0], description="standard deviation in photons")

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Count every image with one exposure; what falls below black is clipped, as the tone curve ends there."""
        photons, read = (draw(bounds, len(image), generator) for bounds in (self.photons, self.read_noise))
        light = functions.to_linear_light(image)
        return functions.from_linear_light(functions.add_poisson_gaussian_noise(light, photons, read, generator))


class CameraNoise(Step):
    """A sensor's noise as a camera's processing leaves it: spread over neighbours and colours, and saved as a JPEG."""

    kind: Literal["camera_noise"] = "camera_noise"
    shot: Range = Field(
        [3e-5, 0.03], description="variance of the shot noise at white, drawn evenly in its logarithm; read noise fits"
    )
    smoothing: float = Field(0.75, ge=0, le=1, description="share of the images whose noise the camera has smoothed")
    luma: Range = Field([0.0, 1.3], description="standard deviation in pixels that smooths the noise's luma")
    chroma: Range = Field([0.3, 4.0], description="the same for its colours")
    jpeg: float = Field(0.75, ge=0, le=1, description="share of the images that the camera saves as JPEG")
    quality: Range = Field([60.0, 98.0], description="of those JPEGs, as of libjpeg")

    @model_validator(mode="after")
    def _some_noise(self) -> CameraNoise:
        if min(self.shot) <= 0:
            raise ValueError(f"shot: got {self.shot}, expected two numbers above 0; for none use `probability`")
        return self

    @property
    def margin(self) -> int:
        """Reach of demosaicing, smoothing and a block of the JPEG."""
        return functions.CAMERA_MARGIN + self._saving.margin

    @property
    def _saving(self) -> Jpeg:
        return Jpeg(quality=self.quality)

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Take every image with a camera of its own."""
        count = len(image)
        shot = draw([math.log(bound) for bound in self.shot], count, generator).exp()
        smoothed = draw_share(count, generator) < self.smoothing
        luma, chroma = (draw(bounds, count, generator) * smoothed for bounds in (self.luma, self.chroma))
        read = functions.read_noise_of(shot, generator)
        cameras = functions.random_cameras(count, image.device, generator)
        noisy = functions.add_camera_noise(image, shot, read, cameras, luma, chroma, generator)
        saved = draw_share(count, generator) < self.jpeg
        return torch.where(saved.view(-1, 1, 1, 1), self._saving.apply(noisy, generator), noisy)


class Jpeg(Step):
    """Compression to JPEG; clips and rounds to 8 bit as well."""

    kind: Literal["jpeg"] = "jpeg"
    quality: Range = Field(description="as of libjpeg, 1 to 100")
    chroma: Literal["half", "full"] = Field("half", description="size of the colour planes: 4:2:0 or 4:4:4")

    @model_validator(mode="after")
    def _known_quality(self) -> Jpeg:
        if min(self.quality) < 1 or max(self.quality) > 100:
            raise ValueError(f"quality: got {self.quality}, expected two numbers from 1 to 100")
        return self

    @property
    def margin(self) -> int:
        """One block: what is beside a crop is compressed together with it."""
        return 16 if self.chroma == "half" else 8

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Compress every image with one quality."""
        quality = draw(self.quality, len(image), generator)
        return functions.compress_jpeg(image, quality, half_chroma=self.chroma == "half")


_DOWNSCALES = {
    "bicubic": functions.bicubic_downscale,
    "area": functions.area_downscale,
    "lanczos": functions.lanczos_downscale,
    "aliased": functions.aliased_downscale,
}
Method = Literal[*_DOWNSCALES]  # type: ignore[valid-type]  # the table has the names


class Downscale(Step):
    """A reduction, rounded to 8 bit as files are."""

    kind: Literal["downscale"] = "downscale"
    factor: Literal[2, 3, 4] = Field(2, description="how many times smaller")
    method: Method | dict[Method, Annotated[float, Field(ge=0)]] = Field(
        "bicubic", description="bicubic is MATLAB's; or the share of images by method"
    )

    @field_validator("method")
    @classmethod
    def _some_share(cls, method: str | dict[str, float]) -> str | dict[str, float]:
        if isinstance(method, dict) and not sum(method.values()):
            raise ValueError("shares must not all be zero")
        return method

    @property
    def scale(self) -> int:
        """The factor."""
        return self.factor

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Downscale every image."""
        if isinstance(self.method, str):
            return _DOWNSCALES[self.method](image, self.factor, rounded=True)
        choices = draw_index(list(self.method.values()), len(image), generator)
        every = torch.stack([_DOWNSCALES[name](image, self.factor, rounded=True) for name in self.method])
        return every[choices, torch.arange(len(image), device=choices.device)]


class Quantise(Step):
    """Clip and round to the 256 levels of a file."""

    kind: Literal["quantise"] = "quantise"

    def apply(self, image: Tensor, generator: Generator) -> Tensor:
        """Keep only what an 8-bit file keeps."""
        return functions.quantise(image)


class StratifiedGenerator(Generator):
    """A generator whose draws for a batch cover their ranges: one image of N is drawn from each Nth of a range."""


def draw(bounds: list[float], count: int, generator: Generator) -> Tensor:
    """Draw ``count`` values evenly between two bounds."""
    low, high = bounds
    return low + (high - low) * draw_share(count, generator)


def draw_share(count: int, generator: Generator) -> Tensor:
    """Draw ``count`` values from 0 to 1; those of a share of the images are below that share."""
    share = torch.rand(count, generator=generator, device=generator.device)
    if not isinstance(generator, StratifiedGenerator):
        return share
    return (torch.randperm(count, generator=generator, device=generator.device) + share) / count


def draw_index(weights: list[float], count: int, generator: Generator) -> Tensor:
    """Draw ``count`` indices by their weights."""
    odds = torch.tensor(weights, device=generator.device)
    if not isinstance(generator, StratifiedGenerator):
        return torch.multinomial(odds, count, replacement=True, generator=generator)
    limits = odds.cumsum(0) / odds.sum()
    return torch.searchsorted(limits, draw_share(count, generator), right=True).clamp_max(len(weights) - 1)
