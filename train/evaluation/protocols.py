"""The standard protocols that evaluate weights and chains: which images, degraded how, scored by what.

Test sets are found by their usual names: CBSD68, Set5, Set14, pairs/NAME/{blur,sharp}, and
real_noise/polyu_512/{noisy,clean}. Results are clipped and rounded to 8 bit before they are compared; PSNR is the mean
over images, in dB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.evaluation.metrics import psnr_rgb, psnr_y
from stages.errors import WeightsError
from stages.registry import load_stage
from stages.stage import LearnedStageConfig, Stage
from stages.weights import resolve
from train.degradation import functions, sequence
from train.degradation.steps import Method
from train.evaluation.harm import harm
from train.evaluation.measurement import ProtocolResult, measure
from train.evaluation.restorers import Restore, bicubic_upscaler, chain_restorer, restorer
from train.evaluation.samples import (
    GRAY_NOISE,
    MILD_BLUR,
    SHAKEN_SMALL_NOISY,
    SMALL,
    SMALL_NOISY,
    degraded_images,
    gray_images,
    jpeg,
    pairs,
)


def denoising(data: Path, weights: str) -> Iterator[ProtocolResult]:
    """CBSD68 with white Gaussian noise, as float (the papers' protocol), and clipped to 8 bit, and as gray photos.

    Then a camera's own noise (PolyU), Set14 as JPEG, and clean photos.
    """
    restore = restorer(load_for("denoising", weights, (1,)))
    for sigma in (15.0, 25.0, 50.0):
        noise = sequence.GaussianNoise(sigma=[sigma, sigma])
        for name, steps in (("", []), (", clipped to 8 bit", [sequence.Quantise()])):
            samples = degraded_images([data / "CBSD68"], [noise, *steps])
            protocol = f"CBSD68, noise sigma {sigma:.0f}{name}, PSNR RGB"
            yield measure(protocol, weights, samples, torch.clone, restore, psnr_rgb)
    samples = gray_images([data / "CBSD68"], [GRAY_NOISE, sequence.Quantise()])
    yield measure("CBSD68 as gray, noise sigma 11, PSNR RGB", weights, samples, torch.clone, restore, psnr_rgb)
    samples = pairs(data / "real_noise" / "polyu_512")
    yield measure("PolyU, camera noise, PSNR RGB", weights, samples, torch.clone, restore, psnr_rgb)
    for quality in (70, 30):
        samples = degraded_images([data / "Set14"], [jpeg(quality)])
        yield measure(f"Set14, JPEG quality {quality}, PSNR RGB", weights, samples, torch.clone, restore, psnr_rgb)
    yield from harmlessness(data, weights, restore)


# Set, method, and how that is called.
DOWNSCALED: tuple[tuple[str, Method, str], ...] = (
    ("Set5", "bicubic", "MATLAB bicubic"),
    ("Set14", "bicubic", "MATLAB bicubic"),
    ("Set14", "area", "means of areas"),
    ("Set14", "aliased", "bicubic without antialiasing"),
)


def super_resolution(data: Path, weights: str) -> Iterator[ProtocolResult]:
    """Set5 and Set14 reduced by MATLAB's bicubic, Set14 in other ways, too.

    PSNR on Y (BT.601), as many border pixels cut as the scale.
    """
    stage = load_for("super_resolution", weights, (2, 3, 4))
    scale = stage.scale

    def score(restored: Tensor, clean: Tensor) -> float:
        return psnr_y(restored, clean, border=scale)

    for name, method, label in DOWNSCALED:
        samples = degraded_images([data / name], [sequence.Downscale(factor=scale, method=method)])  # type: ignore[arg-type]
        protocol = f"{name} x{scale}, {label}, PSNR-Y"
        yield measure(protocol, weights, samples, bicubic_upscaler(scale), restorer(stage), score)


def deblurring(data: Path, weights: str) -> Iterator[ProtocolResult]:
    """Real pairs, whole frames; photos blurred mildly (Gaussian, defocus, shake; noise sigma 2), and not at all."""
    restore = restorer(load_for("deblurring", weights, (1,)))
    for name in ("gopro_flower_1280x720", "gopro_test_760x427", "reds_320x180"):
        samples = pairs(data / "pairs" / name)
        yield measure(f"pairs {name}, PSNR RGB", weights, samples, torch.clone, restore, psnr_rgb)
    samples = degraded_images([data / "CBSD68", data / "Set14"], MILD_BLUR)
    yield measure("CBSD68 + Set14, mild blur, PSNR RGB", weights, samples, torch.clone, restore, psnr_rgb)
    yield from harmlessness(data, weights, restore)


# How it is called, of which sets, and what is done to them.
SMALL_PHOTOS: tuple[tuple[str, tuple[str, ...], sequence.Degradation], ...] = (
    ("Set14, x2 down, noise sigma 10", ("Set14",), SMALL_NOISY),
    ("CBSD68 + Set14, shake, x2 down, noise sigma 10", ("CBSD68", "Set14"), SHAKEN_SMALL_NOISY),
    ("Set14, x2 down, JPEG quality 70", ("Set14",), [*SMALL, jpeg(70)]),
    ("Set14, x2 down, JPEG quality 30", ("Set14",), [*SMALL, jpeg(30)]),
    ("Set14, x2 down", ("Set14",), SMALL),
)


def chain(data: Path, file: str) -> Iterator[ProtocolResult]:
    """The whole chain against bicubic upscaling: photos made small, and noisy, shaken or JPEGs besides.

    Then how near clean photos stay to themselves in its learned stages that keep the size, if it has any.
    """
    loaded = Chain.load(file)
    for name, folders, steps in SMALL_PHOTOS:
        samples = degraded_images([data / folder for folder in folders], steps)
        yield measure(
            f"{name}, PSNR RGB", file, samples, bicubic_upscaler(loaded.scale), chain_restorer(loaded), psnr_rgb
        )
    if cleaning := stages_of_one_size(loaded):
        yield from harmlessness(data, file, chain_restorer(cleaning))


def stages_of_one_size(loaded: Chain) -> Chain | None:
    """Return the chain's learned stages that keep the size alone, if it has any."""
    cleaning = tuple(
        config
        for config, stage in zip(loaded.config.stages, loaded.stages, strict=True)
        if isinstance(config, LearnedStageConfig) and stage.scale == 1
    )
    return Chain.build(ChainConfig(stages=cleaning)) if cleaning else None


def harmlessness(data: Path, weights: str, restore: Restore) -> Iterator[ProtocolResult]:
    """How near clean photos stay to themselves: as they are, a little soft, and crisp, at half their size."""
    sets: tuple[tuple[str, list[Path], sequence.Degradation], ...] = (
        ("CBSD68 + Set14, clean", [data / "CBSD68", data / "Set14"], []),
        ("Set14 of half size, clean", [data / "Set14"], SMALL),
    )
    for name, folders, steps in sets:
        photos = (photo for photo, _ in degraded_images(folders, steps))
        kept = [psnr_rgb(functions.quantise(restore(photo)), photo) for photo in photos]
        yield ProtocolResult(f"{name}, PSNR RGB", Path(weights).stem, None, float(np.mean(kept)), None, None, None)


def load_for(protocol: str, weights: str, scales: tuple[int, ...]) -> Stage:
    """Load the weights that a protocol evaluates.

    Raises:
        WeightsError: if there are none, or their stage upscales by what the protocol does not.
    """
    stage = load_stage(resolve(weights, Path()))
    if stage.scale not in scales:
        expected = " or ".join(map(str, scales))
        raise WeightsError(f"{weights}: its stage upscales by {stage.scale}, expected {expected} for {protocol}")
    return stage


PROTOCOLS: dict[str, Callable[[Path, str], Iterator[ProtocolResult]]] = {
    "denoising": denoising,
    "deblurring": deblurring,
    "super_resolution": super_resolution,
    "chain": chain,
    "harm": harm,
}
