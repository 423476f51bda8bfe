"""Fit the noise estimator of a denoiser: ``python benchmarks/noise_levels.py --data photos --weights FILE -o FILE``.

Training a denoiser spends nearly all of its time on the network, and shows the estimator too few images. Here it sees
tens of thousands: photos as they are, softer ones, some reduced in four ways, gray ones and screens of text, with a
camera's noise, white noise, weak or strong, or none, and many as JPEG. Only what the estimator is given of each image
is kept, so that the fit can go through all of them often. The rest of the weights stays as it is.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Generator, Tensor, nn

from stages.noise_estimator import NoiseEstimator
from stages.registry import load_stage
from stages.weights import read_card, resolve, save_weights
from train.config import read_config
from train.data.images import read_rgb, to_tensor
from train.data.layouts import find_files
from train.degradation import functions, sequence
from train.losses.noise_level import NoiseLevelTraining, noise_level_of

_REDUCTIONS = (
    functions.bicubic_downscale,
    functions.area_downscale,
    functions.lanczos_downscale,
    functions.aliased_downscale,
)
_SIDES = (128, 192, 256)
_SCREENS, _REDUCED, _GRAY = 0.08, 0.4, 0.12  # shares of the images
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFG   0123456789,."
_SOFTER = sequence.Blur(gaussian=[0.5, 1.6], weights=[1.0, 0.0, 0.0, 0.0, 0.0], probability=0.3)
_CONFIG = read_config(Path(__file__).parents[1] / "configs" / "train" / "dncnn_camera.yaml")
_CAMERA: sequence.Degradation = [
    step.model_copy(update={"probability": 1.0}) for step in _CONFIG.degradation if step.kind == "camera_noise"
]
_NOISES: list[sequence.Degradation] = [
    _CAMERA,
    [sequence.GaussianNoise(sigma=[0.0, 55.0], gray=0.25)],
    [sequence.GaussianNoise(sigma=[0.0, 12.0], gray=0.25)],
    [],
]
_SHARES = (0.45, 0.15, 0.12, 0.28)
_SAVED = [sequence.Jpeg(quality=[20.0, 98.0], probability=0.3), sequence.Quantise(probability=0.6)]
_STEPS, _BATCH, _RATE, _DECAY = 5000, 512, 5e-3, 1e-2
_UNSURE = 0.03  # standard deviation of what is added to the standardised variations


@dataclass
class Samples:
    """What is kept of degraded images.

    Attributes:
        variations: What the estimator is given, ``(N, sizes * planes, quantiles)``.
        levels: The true noise levels / 255, ``(N, 1, 1, 1)``.
    """

    variations: Tensor
    levels: Tensor


@torch.inference_mode()
def collect(estimator: NoiseEstimator, photos: Sequence[np.ndarray], minutes: float) -> Samples:
    """Degrade images for as long as there is time."""
    variations, levels = [], []
    generator, end = Generator().manual_seed(0), time.monotonic() + 60 * minutes
    for clean in clean_images(photos, generator):
        (noise,) = random.choices(_NOISES, _SHARES)
        degraded = sequence.degrade(clean, [*noise, *_SAVED], generator)
        variations.append(estimator.variations(degraded))
        levels.append(noise_level_of(degraded, clean))
        if time.monotonic() > end:
            break
    return Samples(torch.cat(variations), torch.cat(levels))


def clean_images(photos: Sequence[np.ndarray], generator: Generator) -> Iterator[Tensor]:
    """Yield endless images of all kinds, ``(1, 3, H, W)``."""
    while True:
        side = random.choice(_SIDES)
        if random.random() < _SCREENS:
            yield to_tensor(screen(side))
            continue
        image = to_tensor(part(random.choice(photos), 2 * side))
        if random.random() < _REDUCED:
            image = random.choice(_REDUCTIONS)(image, 2, rounded=True)
        else:
            image = sequence.degrade(image[..., :side, :side], [_SOFTER], generator)
        image = image[..., :side, :side]
        gray = random.random() < _GRAY
        yield image.mean(dim=1, keepdim=True).expand_as(image) if gray else image


def part(photo: np.ndarray, side: int) -> np.ndarray:
    """Cut a part out of a photo, of at most ``side`` pixels and even sides."""
    height, width = (min(side, length) // 2 * 2 for length in photo.shape[:2])
    top, left = random.randint(0, photo.shape[0] - height), random.randint(0, photo.shape[1] - width)
    return photo[top : top + height, left : left + width]


def screen(side: int) -> np.ndarray:
    """Draw lines of text on areas of flat colours."""
    image = np.empty((side, side, 3), np.uint8)
    image[:] = paper = np.array(random.choices(range(256), k=3))
    for _ in range(random.randrange(4)):
        top, left, height, width = random.choices(range(10, side), k=4)
        image[top : top + height, left : left + width] = random.choices(range(256), k=3)
    size, font = random.uniform(0.3, 1.2), random.choice(_FONTS)
    ink = tuple(int(value) for value in 255 - paper)
    for row in range(int(15 * size), random.randrange(20, side + 20), int(random.uniform(24, 60) * size) + 4):
        text = "".join(random.choices(_LETTERS, k=random.randrange(5, 60)))
        cv2.putText(image, text, (random.randrange(30), row), font, size, ink, 1, cv2.LINE_AA)
    return image


def fit(estimator: NoiseEstimator, samples: Samples, config: NoiseLevelTraining) -> float:
    """Fit an estimator that begins at random, by AdamW on standardised variations; return its loss at the end."""
    mean, deviation = samples.variations.mean(dim=0), samples.variations.std(dim=0)
    optimizer = torch.optim.AdamW(estimator.parameters(), weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=_STEPS)
    losses = []
    for _ in range(_STEPS):
        batch = torch.randint(len(samples.levels), (_BATCH,))
        variations = samples.variations[batch]
        seen = (variations - mean) / deviation + _UNSURE * torch.randn_like(variations)
        loss = config.loss(estimator.level(variations, estimator.layers(seen.flatten(1))), samples.levels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item() / config.weight)
    _fold(estimator, mean.flatten(), deviation.flatten())
    return float(np.mean(losses[-_STEPS // 10 :]))


@torch.no_grad()
def _fold(estimator: NoiseEstimator, mean: Tensor, deviation: Tensor) -> None:
    """Let the first layer take variations as they are."""
    first = estimator.layers[0]
    assert isinstance(first, nn.Linear)
    first.weight.div_(deviation)
    first.bias.sub_(first.weight @ mean)


def main() -> None:
    """Fit the estimator of a weights file and write another one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sharp photos")
    parser.add_argument("--weights", required=True, help="of a denoiser with an estimator: a shipped name, or a file")
    parser.add_argument("--minutes", type=float, default=15, help="time for degrading images")
    parser.add_argument("-o", "--output", type=Path, required=True, help="weights file to write")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    torch.manual_seed(0)
    source = resolve(chosen.weights, Path())
    denoiser, card = load_stage(source), read_card(source)
    assert _CONFIG.noise_level is not None
    denoiser.estimator = estimator = NoiseEstimator(card.config["estimator"])
    photos = [photo for photo in map(read_rgb, find_files(chosen.data).clean) if min(photo.shape[:2]) >= max(_SIDES)]
    samples = collect(estimator, photos, chosen.minutes)
    loss = fit(estimator, samples, _CONFIG.noise_level)
    save_weights(chosen.output, denoiser, card)
    print(f"{len(samples.levels)} images, squared error of the logarithm {loss:.3f}")


if __name__ == "__main__":
    main()
