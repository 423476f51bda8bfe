"""Where a chain does harm: a few photos as inputs of many kinds, each against doing nothing but upscale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from pipeline.chain.chain import Chain
from pipeline.evaluation.metrics import psnr_rgb
from stages.errors import WeightsError
from train.data.layouts import find_files
from train.degradation import sequence
from train.degradation.steps import Method
from train.evaluation.measurement import ProtocolResult, measure
from train.evaluation.restorers import bicubic_upscaler, chain_restorer
from train.evaluation.samples import GRAY_NOISE, degraded_images, jpeg

# Of each of two test sets: the matrix has many kinds of input and is to take minutes.
_PHOTOS = 4


def harm(data: Path, file: str) -> Iterator[ProtocolResult]:
    """Where a chain does harm: a few photos as inputs of many kinds, against bicubic upscaling, or doing nothing.

    A PSNR above 45 dB counts as 45: what is lost above it, nobody sees.

    Raises:
        WeightsError: if the chain upscales by more than 4.
    """
    loaded = Chain.load(file)
    if loaded.scale > 4:
        raise WeightsError(f"{file}: upscales by {loaded.scale}, expected 1, 2, 3 or 4 for harm")
    restore, nothing = chain_restorer(loaded), bicubic_upscaler(loaded.scale)
    photos = [path for name in ("Set14", "CBSD68") for path in spread(find_files([data / name]).clean, _PHOTOS)]
    for kind, steps in harm_steps(loaded.scale).items():
        yield measure(kind, file, degraded_images(photos, steps), nothing, restore, visible_psnr)


def harm_steps(scale: int) -> dict[str, sequence.Degradation]:
    """Return what photos are degraded by before a chain of this scale, by the name of the kind of input."""

    def small(method: Method) -> sequence.Degradation:
        return [] if scale == 1 else [sequence.Downscale(factor=scale, method=method)]  # type: ignore[arg-type]

    def blurred(*weights: float) -> sequence.Degradation:
        return [sequence.Blur(weights=[*weights, 0.0, 0.0]), *small("bicubic"), sequence.Quantise()]

    def noisy(noise: sequence.GaussianNoise) -> sequence.Degradation:
        return [*small("bicubic"), noise, sequence.Quantise()]

    reduced: dict[str, Method] = {"reduced by bicubic": "bicubic", "reduced by area": "area", "aliased": "aliased"}
    return {
        "clean": small("lanczos"),
        **({} if scale == 1 else {name: small(method) for name, method in reduced.items()}),
        **{f"JPEG quality {quality}": [*small("bicubic"), jpeg(quality)] for quality in (90, 70, 50, 30)},
        **{f"noise sigma {sigma}": noisy(sequence.GaussianNoise(sigma=[sigma, sigma])) for sigma in (5, 15, 25, 50)},
        "gray noise sigma 11": noisy(GRAY_NOISE),
        "mild blur": blurred(1.0, 1.0, 0.0),
        "shake": blurred(0.0, 0.0, 1.0),
    }


def visible_psnr(restored: Tensor, clean: Tensor) -> float:
    """Return the PSNR over RGB in dB, at most 45."""
    return min(45.0, psnr_rgb(restored, clean))


def spread(paths: Sequence[Path], most: int) -> list[Path]:
    """Return at most ``most`` of the paths, evenly spread."""
    return list(paths[:: -(-len(paths) // most)])
