"""The standard protocols that evaluate weights and chains: which images, degraded how, scored by what.

Test sets are found by their usual names: CBSD68, Set5, Set14, pairs/NAME/{blur,sharp}, and
real_noise/polyu_512/{noisy,clean}. Results are clipped and
rounded to 8 bit before they are compared; PSNR is the mean over images, in dB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.evaluation.metrics import psnr_rgb, psnr_y
from stages.errors import WeightsError
from stages.layers import bicubic_upscale
from stages.registry import load_stage
from stages.stage import LearnedStageConfig, Stage
from stages.weights import resolve
from train.data.images import read_rgb
from train.data.layouts import find_files
from train.degradation import functions, sequence
from train.degradation.steps import Method

MILD_BLUR: sequence.Degradation = [
    sequence.Blur(weights=[1.0, 1.0, 1.0, 0.0, 0.0]),
    sequence.GaussianNoise(sigma=[2.0, 2.0]),
    sequence.Quantise(),
]
SMALL: sequence.Degradation = [sequence.Downscale(factor=2)]
GRAY_NOISE = sequence.GaussianNoise(sigma=[11.0, 11.0], gray=1.0)
SMALL_NOISY: sequence.Degradation = [*SMALL, sequence.GaussianNoise(sigma=[10.0, 10.0]), sequence.Quantise()]
SHAKEN_SMALL_NOISY: sequence.Degradation = [sequence.Blur(weights=[0.0, 0.0, 1.0, 0.0, 0.0]), *SMALL_NOISY]


def jpeg(quality: int) -> sequence.Jpeg:
    """Compress by one quality."""
    return sequence.Jpeg(quality=[float(quality), float(quality)])


# Of each of two test sets: the matrix has many kinds of input and is to take minutes.
_HARM_PHOTOS = 4
# Decibels that a loss must exceed for an image to count as made worse.
_FELT_LOSS = 0.1

Restore = Callable[[Tensor], Tensor]
Sample = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class ProtocolResult:
    """One protocol's outcome: PSNR of doing nothing and of the result, and what became of single images.

    Where the input is clean, doing nothing is perfect: there is no such PSNR and none can be made better.

    Attributes:
        better: Share of the images that got better.
        worse: Share of the images that lost more than 0.1 dB.
        worst: Smallest gain of an image, in dB.
    """

    protocol: str
    weights: str
    nothing: float | None
    restored: float
    better: float | None
    worse: float | None
    worst: float | None


def measure(
    protocol: str, weights: str, samples: Iterator[Sample], nothing: Restore, restore: Restore, score: Callable
) -> ProtocolResult:
    """Score ``nothing(degraded)`` and ``restore(degraded)`` against clean for every sample."""
    before, after = [], []
    for degraded, clean in samples:
        before.append(score(nothing(degraded), clean))
        after.append(score(functions.quantise(restore(degraded)), clean))
    gains = np.subtract(after, before)
    return ProtocolResult(
        protocol,
        Path(weights).stem,
        nothing=float(np.mean(before)),
        restored=float(np.mean(after)),
        better=float(np.mean(gains > 0)),
        worse=float(np.mean(gains < -_FELT_LOSS)),
        worst=float(gains.min()),
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
    photos = [path for name in ("Set14", "CBSD68") for path in spread(find_files([data / name]).clean, _HARM_PHOTOS)]
    for kind, steps in harm_steps(loaded.scale).items():
        yield measure(kind, file, degraded_images(photos, steps), nothing, restore, visible_psnr)


def visible_psnr(restored: Tensor, clean: Tensor) -> float:
    """Return the PSNR over RGB in dB, at most 45."""
    return min(45.0, psnr_rgb(restored, clean))


def spread(paths: Sequence[Path], most: int) -> list[Path]:
    """Return at most ``most`` of the paths, evenly spread."""
    return list(paths[:: -(-len(paths) // most)])


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


def pairs(folder: Path) -> Iterator[Sample]:
    """Yield every pair below a folder."""
    for degraded, clean in find_files([folder]).pairs:
        yield to_tensor(read_rgb(degraded)), to_tensor(read_rgb(clean))


def restorer(stage: Stage) -> Restore:
    """Run one stage on an image of any size, in float32."""

    def restore(image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        fill = (0, -width % stage.multiple_of, 0, -height % stage.multiple_of)
        with torch.inference_mode():
            result = stage(F.pad(image, fill, mode="replicate"))
        return result[..., : height * stage.scale, : width * stage.scale]

    return restore


def chain_restorer(loaded: Chain) -> Restore:
    """Run a chain on 8-bit pixels, in torch."""
    engine = Engine(loaded)

    def restore(image: Tensor) -> Tensor:
        pixels = image[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
        return to_tensor(engine.run(pixels).pixels)

    return restore


def bicubic_upscaler(scale: int) -> Restore:
    """Upscale by bicubic interpolation, the baseline."""
    return lambda image: functions.quantise(bicubic_upscale(image, scale))


def to_tensor(pixels: np.ndarray) -> Tensor:
    """Turn ``(H, W, 3)`` uint8 into ``(1, 3, H, W)`` in ``[0, 1]``."""
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).float() / 255


PROTOCOLS: dict[str, Callable[[Path, str], Iterator[ProtocolResult]]] = {
    "denoising": denoising,
    "deblurring": deblurring,
    "super_resolution": super_resolution,
    "chain": chain,
    "harm": harm,
}
