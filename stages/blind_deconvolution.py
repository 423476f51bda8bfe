"""Deblurring of shaken photos without training: find the blur kernel, then undo it.

    photo -> blurred at all? -> kernel, estimated more than once -> do they agree? -> deconvolution -> sharp photo

The kernel is estimated by Xu, Zheng, Jia, "Unnatural L0 Sparse Representation for Natural Image Deblurring", CVPR 2013,
https://doi.org/10.1109/CVPR.2013.147, and undone by Krishnan, Fergus, "Fast Image Deconvolution using Hyper-Laplacian
Priors", NIPS 2009. A photo that is sharp, or in which no single kernel explains the blur, is left alone.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from stages.deconvolution.search import Light, find_blur, was_linear
from stages.deconvolution.tiles import undo_blur
from stages.findings import BlurFinding, report_finding
from stages.kernel_files import read_kernel
from stages.layers import full_precision, gaussian_kernel
from stages.stage import FileBeside, Stage, StageConfig


class BlindDeconvolution(Stage):
    """Undoes the blur of a shaken camera, found in the photo, or a given one that all of it shares.

    Args:
        kernel: The blur, ``(H, W)``, not negative, sum one; None to find it in every image.
        max_kernel: Side in pixels of the largest kernel that is looked for; odd.
        light: What was blurred: ``linear`` light, the ``encoded`` values of the file, or ``auto`` for what fits better.
    """

    halo = None
    kernel: Tensor | None

    def __init__(self, *, kernel: Tensor | None, max_kernel: int, light: Light) -> None:
        super().__init__()
        self.register_buffer("kernel", None if kernel is None else _odd_square(kernel), persistent=False)
        self.max_kernel = max_kernel
        self.light = light

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Return the deblurred image, same shape; one that is left alone comes back as it was."""
        if image.is_meta:
            return image
        with full_precision(image.device.type):
            return torch.stack([self._restore(single) for single in image.float()]).to(image)

    def _restore(self, image: Tensor) -> Tensor:
        if self.kernel is not None:
            report_finding(BlurFinding(self.kernel, "given"))
            linear = was_linear(image, self.kernel, self.light)
            return undo_blur(image, self.kernel[None, None], linear=linear)
        found = find_blur(image.cpu(), self.max_kernel, self.light)
        report_finding(BlurFinding(found.kernel, found.reason))
        if found.by_place is None:
            return image
        sharp = undo_blur(image, found.by_place.to(image.device), linear=found.linear)
        return torch.lerp(image, sharp, found.strength)


def disc_kernel(radius: float) -> Tensor:
    """Return a disc with an edge one pixel soft, ``(K, K)``: the blur of a lens out of focus."""
    reach = math.ceil(radius)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    disc = (radius + 0.5 - torch.hypot(offsets[:, None], offsets)).clamp(0, 1)
    return disc / disc.sum()


def motion_kernel(length: float, angle: float) -> Tensor:
    """Return a line one pixel wide, ``(K, K)``: the blur of a steady motion.

    Args:
        length: In pixels.
        angle: In degrees, counterclockwise from the horizontal.
    """
    reach = math.ceil(length / 2)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along = offsets * cos - offsets[:, None] * sin
    beside = offsets * sin + offsets[:, None] * cos
    line = (1 - beside.abs()).clamp_min(0) * (length / 2 + 0.5 - along.abs()).clamp(0, 1)
    return line / line.sum()


def _odd_square(kernel: Tensor) -> Tensor:
    """Pad a kernel with zeros to a square of odd side."""
    side = max(kernel.shape) // 2 * 2 + 1
    rows, columns = side - kernel.shape[0], side - kernel.shape[1]
    return F.pad(kernel, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


class BlindDeconvolutionConfig(StageConfig):
    """Options of ``stage: blind_deconvolution``."""

    summary: ClassVar[str] = "deblur: undoes a shake"
    stage: Literal["blind_deconvolution"] = "blind_deconvolution"
    max_kernel: int = Field(51, ge=9, le=255, description="side in pixels of the largest kernel looked for; odd")
    light: Light = Field(
        "auto", description="what was blurred: linear light, the encoded values of the file, or what fits better"
    )
    kernel: FileBeside | None = Field(
        None, description="do not look for it: an image or .npy of the blur kernel, relative to the YAML"
    )
    gaussian: float | None = Field(None, gt=0, description="do not look for it: sigma in pixels of a Gaussian blur")
    disc: float | None = Field(None, gt=0, description="do not look for it: radius in pixels of a blur out of focus")
    motion: float | None = Field(None, gt=0, description="do not look for it: length in pixels of a steady motion")
    angle: float = Field(0.0, description="of the motion, in degrees counterclockwise from the horizontal")

    @model_validator(mode="after")
    def _one_odd_kernel(self) -> BlindDeconvolutionConfig:
        given = [name for name in ("kernel", "gaussian", "disc", "motion") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"got {' and '.join(given)}, expected one of them")
        if self.angle and self.motion is None:
            raise ValueError("got angle, expected motion with it")
        if self.max_kernel % 2 == 0:
            raise ValueError(f"max_kernel: got {self.max_kernel}, expected an odd number of pixels")
        return self

    def build(self) -> BlindDeconvolution:
        """Build the module.

        Raises:
            WeightsError: if the file does not hold a blur kernel.
        """
        return BlindDeconvolution(kernel=self._given_kernel(), max_kernel=self.max_kernel, light=self.light)

    def _given_kernel(self) -> Tensor | None:
        if self.kernel is not None:
            return read_kernel(self.kernel)
        if self.gaussian is not None:
            line = gaussian_kernel(self.gaussian)
            return torch.outer(line, line)
        if self.disc is not None:
            return disc_kernel(self.disc)
        return None if self.motion is None else motion_kernel(self.motion, self.angle)
