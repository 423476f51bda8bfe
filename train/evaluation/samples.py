"""Images that protocols evaluate by: those of a test set, degraded in a fixed way, each beside its clean original."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch
from torch import Generator, Tensor

from train.data.images import read_rgb, to_tensor
from train.data.layouts import find_files
from train.degradation import functions, sequence

MILD_BLUR: sequence.Degradation = [
    sequence.Blur(weights=[1.0, 1.0, 1.0, 0.0, 0.0]),
    sequence.GaussianNoise(sigma=[2.0, 2.0]),
    sequence.Quantise(),
]
SMALL: sequence.Degradation = [sequence.Downscale(factor=2)]
GRAY_NOISE = sequence.GaussianNoise(sigma=[11.0, 11.0], gray=1.0)
SMALL_NOISY: sequence.Degradation = [*SMALL, sequence.GaussianNoise(sigma=[10.0, 10.0]), sequence.Quantise()]
SHAKEN_SMALL_NOISY: sequence.Degradation = [sequence.Blur(weights=[0.0, 0.0, 1.0, 0.0, 0.0]), *SMALL_NOISY]

# Degraded and clean, each (1, 3, H, W).
Sample = tuple[Tensor, Tensor]


def jpeg(quality: int) -> sequence.Jpeg:
    """Compress by one quality."""
    return sequence.Jpeg(quality=[float(quality), float(quality)])


def degraded_images(folders: list[Path], steps: sequence.Degradation) -> Iterator[Sample]:
    """Yield every image degraded, image n with seed n; clean sizes are cut to even ones that the scale divides."""
    multiple = math.lcm(2, sequence.scale(steps))
    for seed, path in zip(count(), find_files(folders).clean, strict=False):
        clean = to_tensor(read_rgb(path))
        clean = clean[..., : clean.shape[-2] // multiple * multiple, : clean.shape[-1] // multiple * multiple]
        yield sequence.degrade(clean, steps, Generator().manual_seed(seed)), clean


def gray_images(folders: list[Path], steps: sequence.Degradation) -> Iterator[Sample]:
    """Yield every image as a gray photo (BT.601 luma of 8 bit, three times), degraded, image n with seed n."""
    for seed, path in zip(count(), find_files(folders).clean, strict=False):
        luma = to_tensor(read_rgb(path)) * torch.tensor([0.2989, 0.5870, 0.1140]).view(3, 1, 1)
        clean = functions.quantise(luma.sum(dim=1, keepdim=True)).expand(-1, 3, -1, -1)
        yield sequence.degrade(clean, steps, Generator().manual_seed(seed)), clean


def shallow_focus(photo: Tensor) -> Tensor:
    """Return a photo as of a wide aperture: sharp in the middle, softer towards the borders, in 8 bit."""
    soft = photo
    for sigma in (2.0, 3.5):
        height, width = photo.shape[-2:]
        rows, columns = torch.linspace(-1, 1, height).view(-1, 1), torch.linspace(-1, 1, width)
        outside = ((rows.square() + columns.square()).sqrt() - sigma / 7).mul(4).clamp(0, 1)
        kernel = functions.gaussian_kernels(torch.tensor([sigma]), 2 * round(3 * sigma) + 1)
        soft = torch.lerp(soft, functions.blur(photo, kernel), outside)
    return functions.quantise(soft)


def pairs(folder: Path) -> Iterator[Sample]:
    """Yield every pair below a folder."""
    for degraded, clean in find_files([folder]).pairs:
        yield to_tensor(read_rgb(degraded)), to_tensor(read_rgb(clean))
