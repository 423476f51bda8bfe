"""Where a chain does harm: photos and screens as inputs of many kinds, each against doing nothing but upscale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from torch import Generator, Tensor

from pipeline.chain.chain import Chain
from pipeline.evaluation.metrics import psnr_rgb
from stages.errors import WeightsError
from train.data.images import read_rgb, to_tensor
from train.data.layouts import find_files
from train.degradation import sequence
from train.degradation.steps import Method
from train.evaluation.h264 import compress_h264
from train.evaluation.measurement import ProtocolResult, measure
from train.evaluation.restorers import bicubic_upscaler, chain_restorer
from train.evaluation.samples import GRAY_NOISE, Sample, jpeg, shallow_focus

# The matrix has many kinds of input and is to take minutes.
_PHOTOS, _SIDE = 20, 256
_CRF = 26  # of x264, as of videos on the web
VISIBLE_PSNR = 45.0  # dB; what is lost above it, nobody sees

Item = TypeVar("Item")


def harm(data: Path, file: str) -> Iterator[ProtocolResult]:
    """Where a chain does harm: the middle of a few photos in many conditions, against bicubic upscaling of the same.

    A PSNR above 45 dB counts as 45.

    Raises:
        WeightsError: if the chain upscales by more than 4.
    """
    loaded = Chain.load(file)
    if loaded.scale > 4:
        raise WeightsError(f"{file}: upscales by {loaded.scale}, expected 1, 2, 3 or 4 for harm")
    restore, nothing = chain_restorer(loaded), bicubic_upscaler(loaded.scale)
    for kind, samples in harm_samples(data, loaded.scale):
        yield measure(kind, file, samples, nothing, restore, visible_psnr)


def harm_samples(data: Path, scale: int) -> Iterator[tuple[str, Iterator[Sample]]]:
    """Yield each kind of input with its images: degraded photos, a camera's own noise, shallow focus, screens."""
    half = _PHOTOS // 2
    photos = [path for name in ("Set14", "CBSD68") for path in spread(find_files([data / name]).clean, half)]
    middles = [_middle(path, scale) for path in photos]
    for kind, steps in harm_steps(scale).items():
        yield kind, _degraded(middles, steps)
    pairs = spread(find_files([data / "real_noise" / "polyu_512"]).pairs, _PHOTOS)
    noisy = _degraded([_middle(path, scale) for path, _ in pairs], small(scale, "bicubic"))
    yield (
        "camera noise, PolyU",
        ((image, _middle(pair[1], scale)) for (image, _), pair in zip(noisy, pairs, strict=True)),
    )
    soft = _degraded([shallow_focus(photo) for photo in middles], small(scale, "bicubic"))
    yield "shallow focus, H.264", ((compress_h264(image, _CRF), clean) for image, clean in soft)
    screens = [part for path in find_files([data / "screens"]).clean for part in _parts(path, scale)]
    yield "screens", _degraded(spread(screens, _PHOTOS), small(scale, "lanczos"))


def harm_steps(scale: int) -> dict[str, sequence.Degradation]:
    """Return what photos are degraded by before a chain of this scale, by the name of the kind of input."""

    def blurred(*weights: float) -> sequence.Degradation:
        return [sequence.Blur(weights=[*weights, 0.0, 0.0]), *small(scale, "bicubic"), sequence.Quantise()]

    def noisy(noise: sequence.GaussianNoise | sequence.CameraNoise, *then: sequence.Jpeg) -> sequence.Degradation:
        return [*small(scale, "bicubic"), noise, *then, sequence.Quantise()]

    reduced: dict[str, Method] = {"reduced by bicubic": "bicubic", "reduced by area": "area", "aliased": "aliased"}
    return {
        "clean": small(scale, "lanczos"),
        **({} if scale == 1 else {name: small(scale, method) for name, method in reduced.items()}),
        **{f"JPEG quality {quality}": [*small(scale, "bicubic"), jpeg(quality)] for quality in (90, 70, 50, 30)},
        **{f"noise sigma {sigma}": noisy(sequence.GaussianNoise(sigma=[sigma, sigma])) for sigma in (5, 15, 25, 50)},
        "gray noise sigma 11": noisy(GRAY_NOISE),
        "camera noise, low": noisy(sequence.CameraNoise(shot=[5e-4, 5e-4], jpeg=0), jpeg(92)),
        "camera noise, high": noisy(sequence.CameraNoise(shot=[5e-3, 5e-3], jpeg=0), jpeg(92)),
        "mild blur": blurred(1.0, 1.0, 0.0),
        "shake": blurred(0.0, 0.0, 1.0),
    }


def small(scale: int, method: Method) -> sequence.Degradation:
    """Return the reduction that a chain of this scale is to undo; none at scale 1."""
    return [] if scale == 1 else [sequence.Downscale(factor=scale, method=method)]  # type: ignore[arg-type]


def visible_psnr(restored: Tensor, clean: Tensor) -> float:
    """Return the PSNR over RGB in dB, at most 45."""
    return min(VISIBLE_PSNR, psnr_rgb(restored, clean))


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most ``most`` of the items, evenly spread."""
    return [items[index * len(items) // most] for index in range(most)] if len(items) > most else list(items)


def _degraded(photos: Sequence[Tensor], steps: sequence.Degradation) -> Iterator[Sample]:
    """Yield photo n degraded with seed n."""
    for seed, clean in enumerate(photos):
        yield sequence.degrade(clean, steps, Generator().manual_seed(seed)), clean


def _middle(path: Path, scale: int) -> Tensor:
    """Return the middle of a photo, of even sides that the scale divides."""
    photo = to_tensor(read_rgb(path))
    height, width = (_side(length, scale) for length in photo.shape[-2:])
    top, left = (photo.shape[-2] - height) // 2, (photo.shape[-1] - width) // 2
    return photo[..., top : top + height, left : left + width]


def _parts(path: Path, scale: int) -> list[Tensor]:
    """Return parts of a screen, side by side."""
    screen = to_tensor(read_rgb(path))
    height, width = (_side(length, scale) for length in screen.shape[-2:])
    return [
        screen[..., top : top + height, left : left + width]
        for top in range(0, screen.shape[-2] - height + 1, height)
        for left in range(0, screen.shape[-1] - width + 1, width)
    ]


def _side(length: int, scale: int) -> int:
    multiple = 2 * scale
    return min(length, _SIDE) // multiple * multiple
