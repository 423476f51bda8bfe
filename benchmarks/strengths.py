"""Compute the tables of ``strength: auto``: ``python benchmarks/strengths.py --data photos``.

Sharp photos are degraded in many ways and go through the shipped chains, stage by stage. At strength s, a stage leaves
the squared error |e - s d|^2, where e is the error that it is given and d what it changes. Each stage's table is the
least-squares fit of that error by the measured condition, relative to what is left of it, so that decibels count; an
image that a stage makes worse counts three times. Stages before it run at the strengths found for them, or at those of
the chain.

Errors at the size of the input are those against the undegraded photo, reduced in the same way. Photos of shallow
focus, sharp in one place, have to stay so; one that is soft everywhere is blurred.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from noise_levels import screen
from scipy.optimize import lsq_linear
from torch import Generator, Tensor

from pipeline.chain.chain import Chain
from pipeline.condition.condition import Condition
from pipeline.condition.strengths import TABLES, StrengthTable, load_tables, name_of
from pipeline.engine.condition import measure_frame
from pipeline.pixels import Pixels
from stages.layers import bicubic_upscale
from train.data.images import read_rgb, to_tensor
from train.data.layouts import find_files
from train.degradation import sequence
from train.degradation.steps import Method
from train.evaluation.h264 import compress_h264
from train.evaluation.harm import small, spread
from train.evaluation.samples import shallow_focus

_CONFIGS = Path(__file__).parents[1] / "configs"
_CHAINS = ("restore_x2", "restore_x2_fast")
# Which measures decide, by the tag of the stage.
_AXES: dict[str, dict[str, tuple[float, ...]]] = {
    "dncnn": {"noise": (1, 3, 8, 20), "colour_noise": (0.5, 1.5, 4, 12), "jpeg": (40, 75, 96, 100)},
    "unet": {
        "least_blur": (0.1, 0.3, 0.5, 0.7, 0.9, 1.2, 1.6),
        "aliasing": (0.01, 0.03, 0.1, 0.3),
        "colour_noise": (1, 6),
    },
    "edsr": {"blur": (0.3, 0.8, 1.4), "aliasing": (0.05, 0.2, 0.6), "colour_noise": (1, 6), "jpeg": (30, 60, 96, 100)},
    "unsharp_mask": {"blur": (0.2, 0.8, 1.6), "aliasing": (0.05, 0.2, 0.6)},
}
_METHODS: tuple[Method, ...] = ("bicubic", "area", "lanczos")
_SIDE = 256
_LEAST_ERROR = 10**-4.2  # mean squared error of 42 dB, below which nothing is seen
_HARM, _ROUNDS = 3.0, 8
_SMOOTHNESS = 1.0  # of the table, for corners at which there are few photos; chosen by photos left out


@dataclass
class Sample:
    """A degraded photo on its way through the chain.

    Attributes:
        condition: Of the degraded photo.
        image: What the stages so far have made of it.
        target: What it is to become at its size.
        truth: What it is to become at the chain's size.
    """

    condition: Condition
    image: Tensor
    target: Tensor
    truth: Tensor


def kinds(scale: int, number: int) -> dict[str, sequence.Degradation]:
    """Return how a photo is degraded; those called ``soft`` are to stay so."""

    def noise(low: float, high: float, gray: float = 0.0) -> sequence.Degradation:
        return [*usual, sequence.GaussianNoise(sigma=[low, high], gray=gray), sequence.Quantise()]

    def jpeg(low: float, high: float) -> sequence.Jpeg:
        return sequence.Jpeg(quality=[low, high])

    def blurred(*weights: float) -> sequence.Degradation:
        return [sequence.Blur(weights=[*weights, 0.0], long_shake=[9.0, 24.0]), *usual, sequence.Quantise()]

    usual = small(scale, _METHODS[number % len(_METHODS)])
    return {
        **{method: small(scale, method) for method in (*_METHODS, "aliased")},
        "JPEG, strong": [*usual, jpeg(20, 60)],
        "JPEG, weak": [*usual, jpeg(60, 96)],
        "noise, weak": noise(1, 4),
        "noise": noise(4, 12),
        "noise, strong": noise(12, 50),
        "noise, gray": noise(3, 20, gray=1.0),
        "camera, low": [*usual, sequence.CameraNoise(shot=[2e-4, 1e-3], jpeg=0), jpeg(80, 97)],
        "camera, high": [*usual, sequence.CameraNoise(shot=[1e-3, 1.2e-2], jpeg=0), jpeg(80, 97)],
        "blur": blurred(1.0, 1.0, 0.0, 0.0),
        "blur, noise": [*blurred(1.0, 1.0, 1.0, 0.0), sequence.GaussianNoise(sigma=[1, 8]), sequence.Quantise()],
        "shake": blurred(0.0, 0.0, 1.0, 0.0),
        "long shake": blurred(0.0, 0.0, 0.0, 1.0),
        "gray": usual,
        "screen": usual,
        "screen, JPEG": [*usual, jpeg(60, 96)],
        "gray, noise": noise(3, 20, gray=1.0),
        "H.264": usual,
        "soft": small(scale, "bicubic"),
        "soft, JPEG": [*small(scale, "bicubic"), jpeg(40, 90)],
        "soft, H.264": small(scale, "bicubic"),
    }


def degraded(photos: Sequence[Path], scale: int) -> Iterator[Sample]:
    """Yield every photo degraded in every way."""
    for number, path in enumerate(photos):
        photo = _middle(to_tensor(read_rgb(path)))
        for kind, steps in kinds(scale, number).items():
            truth = _as_is(photo, kind)
            image = sequence.degrade(truth, steps, Generator().manual_seed(number))
            if kind.endswith("H.264"):
                image = compress_h264(image, 20 + number % 12)
            reducing = [step for step in steps if isinstance(step, sequence.Downscale)]
            target = sequence.degrade(truth, reducing, Generator())
            yield Sample(measure_frame(image), image, target, truth)


def _as_is(photo: Tensor, kind: str) -> Tensor:
    """Return what is to be restored: the photo, in gray or of shallow focus, or a screen of text instead."""
    if kind.startswith("gray"):
        return photo.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    if kind.startswith("screen"):
        return to_tensor(screen(_SIDE))
    if kind.startswith("soft"):
        return shallow_focus(photo)
    return photo


def _middle(photo: Tensor) -> Tensor:
    height, width = photo.shape[-2:]
    top, left = max(0, height - _SIDE) // 2, max(0, width - _SIDE) // 2
    crop = photo[..., top : top + _SIDE, left : left + _SIDE]
    return crop[..., : crop.shape[-2] // 32 * 32, : crop.shape[-1] // 32 * 32]


@torch.inference_mode()
def fit_chain(chain: Chain, samples: Sequence[Sample], tables: dict[str, StrengthTable]) -> None:
    """Add the tables of a chain's stages with ``strength: auto`` that have none yet, first to last."""
    conditions = [sample.condition for sample in samples]
    automatic = [index for index, config in enumerate(chain.config.stages) if config.strength == "auto"]
    for stage, config in list(zip(chain.stages, chain.config.stages, strict=True))[: max(automatic) + 1]:
        befores = [bicubic_upscale(sample.image, stage.scale).clamp(0, 1) for sample in samples]
        changes = [stage(sample.image).clamp(0, 1) - before for sample, before in zip(samples, befores, strict=True)]
        if config.strength == "auto" and name_of(config) not in tables:
            parabolas = [
                parabola(sample, before, change)
                for sample, before, change in zip(samples, befores, changes, strict=True)
            ]
            tables[name_of(config)] = table = fit(_AXES[config.stage], conditions, np.array(parabolas))
            print(report(name_of(config), table, conditions, np.array(parabolas)), flush=True)
        for sample, before, change in zip(samples, befores, changes, strict=True):
            fixed = config.strength
            strength = tables[name_of(config)].strength(sample.condition) if fixed == "auto" else fixed
            sample.image = before + strength * change


def parabola(sample: Sample, before: Tensor, change: Tensor) -> tuple[float, float, float]:
    """Return a, b, c of the mean squared error ``a - 2 b s + c s^2`` at strength s."""
    error = (sample.target if sample.target.shape == before.shape else sample.truth) - before
    return error.square().mean().item(), (error * change).mean().item(), change.square().mean().item()


def squared_error(parabolas: Pixels, strengths: Pixels | float) -> Pixels:
    """Return the mean squared errors at the strengths, at least what is seen."""
    errors = parabolas[:, 0] - 2 * parabolas[:, 1] * strengths + parabolas[:, 2] * strengths**2
    return np.maximum(errors, 0) + _LEAST_ERROR


def fit(axes: dict[str, tuple[float, ...]], conditions: Sequence[Condition], parabolas: Pixels) -> StrengthTable:
    """Return the table with the least expected error, by reweighted least squares within 0 and 1."""
    grid = StrengthTable(axes=axes, values=())
    shares = np.array([grid.corners(condition) for condition in conditions])
    best = parabolas[:, 1] / np.maximum(parabolas[:, 2], 1e-12)
    untouched = squared_error(parabolas, 0.0)
    errors, values = untouched, np.zeros(shares.shape[1])
    neighbours = differences([len(knots) for knots in axes.values()])
    for _ in range(_ROUNDS):
        harmed = np.where(errors > 1.005 * untouched, _HARM, 1.0)
        weights = np.sqrt(harmed * parabolas[:, 2] / errors)
        smoothing = _SMOOTHNESS * weights.sum() / len(weights) * neighbours
        rows = np.vstack([shares * weights[:, None], smoothing])
        goals = np.append(best * weights, np.zeros(len(smoothing)))
        values = lsq_linear(rows, goals, (0, 1)).x
        errors = squared_error(parabolas, shares @ values)
    return StrengthTable(axes=axes, values=tuple(round(float(value), 2) for value in values))


def differences(shape: Sequence[int]) -> Pixels:
    """Return a row for each pair of neighbours in a grid, -1 and 1 at their places."""
    corners = np.eye(int(np.prod(shape))).reshape(*shape, -1)
    return np.concatenate([np.diff(corners, axis=axis).reshape(-1, corners.shape[-1]) for axis in range(len(shape))])


def report(name: str, table: StrengthTable, conditions: Sequence[Condition], parabolas: Pixels) -> str:
    """Say what a table gains over the stage left out, against full strength, and how often it loses."""
    chosen = np.array([table.strength(condition) for condition in conditions])

    def gains(strengths: Pixels | float) -> Pixels:
        return 10 * np.log10(squared_error(parabolas, 0.0) / squared_error(parabolas, strengths))

    auto, full = gains(chosen), gains(1.0)
    best = gains(np.clip(parabolas[:, 1] / np.maximum(parabolas[:, 2], 1e-12), 0, 1))
    return (
        f"{name}: {auto.mean():+.3f} dB, at strength 1 {full.mean():+.3f}, at the best for each {best.mean():+.3f}; "
        f"worse by over 0.1 dB {(auto < -0.1).mean():.1%}, at strength 1 {(full < -0.1).mean():.1%}"
    )


def as_yaml(tables: dict[str, StrengthTable]) -> str:
    """Format the tables as the file that `pipeline.condition.strengths` reads."""
    content = {name: table.model_dump(mode="json") for name, table in sorted(tables.items())}
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110)
    return f"# Written by `python benchmarks/strengths.py --data photos`.\n{text}"


def main() -> None:
    """Compute the tables of the shipped chains and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sharp photos")
    parser.add_argument("--photos", type=int, default=48, help="how many of them, evenly spread")
    parser.add_argument("--chains", nargs="+", default=_CHAINS, help="names of shipped chains, or YAML files")
    parser.add_argument("-o", "--output", type=Path, default=TABLES, help="the tables; others in it are kept")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    tables: dict[str, StrengthTable] = {}
    for name in chosen.chains:
        chain = Chain.load(_CONFIGS / f"{name}.yaml" if name in _CHAINS else Path(name))
        fit_chain(chain, list(degraded(spread(find_files(chosen.data).clean, chosen.photos), chain.scale)), tables)
    kept = load_tables(chosen.output) if chosen.output.exists() else {}
    chosen.output.write_text(as_yaml({**kept, **tables}), encoding="utf-8")


if __name__ == "__main__":
    main()
