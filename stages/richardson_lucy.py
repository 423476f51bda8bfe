"""Richardson-Lucy deconvolution: Richardson, "Bayesian-Based Iterative Method of Image Restoration", JOSA 1972;
Lucy, "An Iterative Technique for the Rectification of Observed Distributions", AJ 1974.
https://doi.org/10.1364/JOSA.62.000055

    estimate <- estimate * correlate(image / convolve(estimate, kernel), kernel), from a flat gray

It undoes a blur whose kernel is known, or guessed as a Gaussian, and amplifies noise with every iteration: put it
behind a denoiser and stop early.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from stages.kernel_files import read_kernel
from stages.layers import full_precision, gaussian_kernel
from stages.stage import FileBeside, Stage, StageConfig

_SMALLEST = 1e-12


class RichardsonLucy(Stage):
    """Deconvolution by spatial convolutions, which unlike Fourier transforms have a halo.

    Args:
        kernel: Point spread function of the blur, ``(H, W)``, not negative, sum one.
        iterations: More is sharper and noisier. Time and halo grow with it.
    """

    kernel: Tensor

    def __init__(self, *, kernel: Tensor, iterations: int) -> None:
        super().__init__()
        odd = F.pad(kernel, (1 - kernel.shape[1] % 2, 0, 1 - kernel.shape[0] % 2, 0))
        self.register_buffer("kernel", odd, persistent=False)
        self.iterations = iterations
        # The first iteration meets a flat estimate, which looks alike from everywhere.
        self.halo = (2 * iterations - 1) * (max(odd.shape) // 2)

    def forward(self, image: Tensor) -> Tensor:
        """Return the deconvolved image, same shape."""
        with full_precision(image.device.type):
            estimate = torch.full_like(image, 0.5)
            for _ in range(self.iterations):
                blurred = _correlate(estimate, self.kernel.flip(0, 1)).clamp_min(_SMALLEST)
                estimate = estimate * _correlate(image / blurred, self.kernel)
        return estimate


def _correlate(image: Tensor, kernel: Tensor) -> Tensor:
    """Weight the surroundings of every pixel; the border repeats its outermost pixels."""
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = F.pad(image, (columns, columns, rows, rows), mode="replicate")
    return F.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)


class RichardsonLucyConfig(StageConfig):
    """Options of ``stage: richardson_lucy``."""

    summary: ClassVar[str] = "deblur: deconvolution by a kernel"
    stage: Literal["richardson_lucy"] = "richardson_lucy"
    sigma: float = Field(1.5, gt=0, le=100, description="standard deviation of a Gaussian blur kernel, in pixels")
    kernel: FileBeside | None = Field(
        None, description="instead of a Gaussian: an image or .npy of the blur kernel, relative to the YAML"
    )
    iterations: int = Field(10, ge=1, description="more is sharper and noisier")

    @model_validator(mode="after")
    def _one_kernel(self) -> RichardsonLucyConfig:
        if self.kernel is not None and "sigma" in self.model_fields_set:
            raise ValueError("got both sigma and kernel, expected one of them")
        return self

    def build(self) -> RichardsonLucy:
        """Build the module.

        Raises:
            WeightsError: if the file does not hold a blur kernel.
        """
        if self.kernel is not None:
            return RichardsonLucy(kernel=read_kernel(self.kernel), iterations=self.iterations)
        line = gaussian_kernel(self.sigma)
        return RichardsonLucy(kernel=torch.outer(line, line), iterations=self.iterations)
