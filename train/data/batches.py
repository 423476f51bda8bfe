"""Training batches and validation images: crops from the bank, degraded by the sequence.

Batch number n depends on n and the seed alone, so a resumed run sees the very batches it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset, Sampler

from pipeline.errors import ConfigError
from train.config import TrainingConfig
from train.data.crops import CropBank, PairBank
from train.data.images import ImageBlock, load_clean, load_pairs, read_clean, read_pairs, resized, to_tensor
from train.data.layouts import Files
from train.degradation import sequence
from train.degradation.steps import StratifiedGenerator

Pair = tuple[Tensor, Tensor]
_VALIDATION_SAMPLES = 16


class TrainingBatches(Dataset[Pair]):
    """An endless row of (degraded, clean) batches on ``device``.

    Several processes share batches of ``ranks`` times the size: each makes the whole batch from its number and keeps
    every ``ranks``-th crop. So the data do not depend on the number of processes: N with batch size B train on the same
    crops as one with N * B. Making crops costs little compared with training on them.

    Args:
        config: Crops, batch size (of one process) and degradation.
        files: What is trained on.
        device: Where the images lie.
        rank: This process, from 0.
        ranks: All processes.
    """

    def __init__(
        self, config: TrainingConfig, files: Files, device: torch.device, rank: int = 0, ranks: int = 1
    ) -> None:
        self.config = config
        self.device = device
        self.share = slice(rank, None, ranks)
        self.batch_size = config.data.batch_size * ranks
        self.margin = degradation_margin(config)
        data, scale = config.data, config.scale
        size = data.clean_size if data.resize else None
        clean = load_clean(files.clean, device, size)
        degraded, sharp = load_pairs(files.pairs, data.pair_scales, scale, device, size)
        if not clean.sizes and not sharp.sizes:
            raise ConfigError("data: no image or pair to train on, expected some that can be read and are not held out")
        if files.pairs and not sharp.sizes:
            raise ConfigError(f"none of the {len(files.pairs)} pairs to train on can be used; see the warnings above")
        self.clean = self._clean_bank(clean) if clean.sizes else None
        self.pairs = PairBank(degraded, sharp, data.clean_size, scale, augment=data.augment) if sharp.sizes else None

    def __getitem__(self, index: int) -> Pair:
        """Return this process' share of batch ``index``.

        Degraded ``(B, 3, H / scale, W / scale)``, clean ``(B, 3, H, W)``.
        """
        generator = Generator(self.device).manual_seed(self.config.seed * 1_000_003 + index)
        from_pairs = self._pair_count()
        parts = []
        if self.pairs is not None and from_pairs:
            parts.append(self._real(self.pairs, from_pairs, generator))
        if self.clean is not None and from_pairs < self.batch_size:
            parts.append(self._synthetic(self.clean, self.batch_size - from_pairs, generator))
        degraded, clean = (torch.cat(side)[self.share] for side in zip(*parts, strict=True))
        return degraded, clean

    def _clean_bank(self, images: ImageBlock) -> CropBank:
        data = self.config.data
        height, width = (side + 2 * self.margin for side in data.clean_size)
        try:
            return CropBank(images, (height, width), augment=data.augment)
        except ConfigError as error:
            reach = f" (crops of {data.crop_size}, and {self.margin} around, as far as the degradation reaches)"
            raise ConfigError(f"{error}{reach if self.margin else ''}") from error

    def _pair_count(self) -> int:
        if self.pairs is None:
            return 0
        if self.clean is None:
            return self.batch_size
        return round(self.batch_size * self.config.data.pair_share)

    def _real(self, bank: PairBank, count: int, generator: Generator) -> Pair:
        degraded, clean = bank.sample(count, generator)
        return sequence.degrade(degraded, self.config.pair_degradation, generator), clean

    def _synthetic(self, bank: CropBank, count: int, generator: Generator) -> Pair:
        return _degrade_inside(bank.sample(count, generator), self.config, self.margin, generator)


class StepSampler(Sampler[int]):
    """Numbers the steps through all epochs, so that batches never repeat and resuming finds its place."""

    def __init__(self, steps_per_epoch: int) -> None:
        self.steps = steps_per_epoch
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of every epoch, a resumed one included."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers of this epoch's steps.

        The epoch is read at each step: a trainer that resumes asks for the iterator before it sets the epoch.
        """
        for step in range(self.steps):
            yield self.epoch * self.steps + step

    def __len__(self) -> int:
        """Return the steps in an epoch."""
        return self.steps


class ValidationImages(Dataset[Pair]):
    """The middle of every held-out image, degraded in several ways; the same in every run, on the CPU.

    The draws for each image are stratified, so that its versions range from mild to strong. Real pairs are taken once.

    Args:
        config: Crop size, repeats and degradation.
        files: What was held out.
        multiple_of: What the degraded H and W must divide by.

    Raises:
        ConfigError: if no image is large enough.
    """

    def __init__(self, config: TrainingConfig, files: Files, multiple_of: int) -> None:
        generator = StratifiedGenerator()
        generator.manual_seed(config.seed)
        scale, margin = config.scale, degradation_margin(config)
        step = scale * multiple_of
        self.samples: list[Pair] = []
        self.images = 0
        for clean in clean_middles(config, files, step, margin):
            repeated = clean.expand(validation_repeats(config, files), -1, -1, -1)
            degraded, inner = _degrade_inside(repeated, config, margin, generator)
            self.samples.extend(zip(degraded.split(1), inner.split(1), strict=True))
            self.images += 1
        for degraded, clean in pair_middles(config, files, multiple_of):
            self.samples.append((sequence.degrade(degraded, config.pair_degradation, generator), clean))
            self.images += 1
        if not self.samples:
            raise ConfigError(f"none of the images to validate on can be read and has {step + 2 * margin} pixels")

    def described(self) -> str:
        """Return how many there are: ``16 degraded versions of 1 image``."""
        images = f"{self.images} image{'s' if self.images > 1 else ''}"
        return images if len(self.samples) == self.images else f"{len(self.samples)} degraded versions of {images}"

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.samples)

    def __getitem__(self, index: int) -> Pair:
        """Return (degraded, clean), each ``(1, 3, H, W)``."""
        return self.samples[index]


def degradation_margin(config: TrainingConfig) -> int:
    """Return the clean pixels around a crop that its degraded version depends on; whole images have none."""
    if config.data.resize:
        return 0
    return sequence.margin([*config.clean_degradation, *config.degradation])


def validation_repeats(config: TrainingConfig, files: Files) -> int:
    """Return how many degraded versions of each clean validation image there are."""
    if config.data.validation_repeats:
        return config.data.validation_repeats
    return -(-_VALIDATION_SAMPLES // max(1, len(files.clean) + len(files.pairs)))


def clean_middles(config: TrainingConfig, files: Files, step: int, margin: int) -> Iterator[Tensor]:
    """Yield the middle of each clean image and a margin around, in multiples of ``step``; or the resized image."""
    data = config.data
    for image in read_clean(files.clean):
        if data.resize:
            yield to_tensor(resized(image, data.clean_size))
        elif min(image.shape[:2]) >= step + 2 * margin:
            yield _cut_out(image, _middle(image, data.validation_crop_size, step, margin))


def pair_middles(config: TrainingConfig, files: Files, multiple_of: int) -> Iterator[Pair]:
    """Yield the middle of each pair, of which the degraded H and W divide by ``multiple_of``; or the resized pair."""
    data, scale = config.data, config.scale
    height, width = data.clean_size
    for degraded, clean in read_pairs(files.pairs, scale):
        if data.resize:
            small = resized(degraded, (height // scale, width // scale))
            yield to_tensor(small), to_tensor(resized(clean, (height, width)))
        elif min(degraded.shape[:2]) >= multiple_of:
            window = _middle(degraded, data.validation_crop_size // scale, multiple_of)
            yield _cut_out(degraded, window), _cut_out(clean, window, scale)


def _degrade_inside(clean: Tensor, config: TrainingConfig, margin: int, generator: Generator) -> Pair:
    """Degrade, then cut the margin off both sides, so that no border of the crop shows in the result."""
    clean = sequence.degrade(clean, config.clean_degradation, generator)
    degraded = sequence.degrade(clean, config.degradation, generator)
    scale = clean.shape[-1] // degraded.shape[-1]
    return cut_margin(degraded, margin // scale), cut_margin(clean, margin)


def cut_margin(image: Tensor, margin: int) -> Tensor:
    """Cut ``margin`` pixels off every border of ``(..., H, W)``."""
    return image[..., margin : image.shape[-2] - margin, margin : image.shape[-1] - margin]


def _middle(image: np.ndarray, size: int, multiple_of: int, margin: int = 0) -> list[tuple[int, int]]:
    """Find where the middle begins and ends, in rows and in columns: at most ``size``, and a margin around."""
    window = []
    for extent in image.shape[:2]:
        length = min(size, extent - 2 * margin) // multiple_of * multiple_of + 2 * margin
        first = (extent - length) // 2
        window.append((first, first + length))
    return window


def _cut_out(image: np.ndarray, window: list[tuple[int, int]], scale: int = 1) -> Tensor:
    """Cut a window, its edges multiplied by ``scale``, out of ``(H, W, 3)``."""
    rows, columns = (slice(first * scale, last * scale) for first, last in window)
    return to_tensor(image[rows, columns].copy())
