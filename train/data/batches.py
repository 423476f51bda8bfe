"""Training batches and validation images: crops from the bank, degraded by the recipe.

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
from train.data.images import ImageBlock, load_clean, load_pairs, read_clean, read_pairs
from train.data.layouts import Files
from train.degradation import sequence as recipe

Pair = tuple[Tensor, Tensor]


class TrainingBatches(Dataset[Pair]):
    """An endless row of (degraded, clean) batches on ``device``.

    Several processes share batches of ``ranks`` times the size: each makes the whole batch from its number and keeps
    every ``ranks``-th crop. So the data do not depend on the number of processes: N with batch B learn from the same
    crops as one with batch N * B. Making crops costs little compared with learning from them.

    Args:
        config: Crops, batch (of one process) and degradations.
        files: What is learnt from.
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
        self.batch = config.data.batch * ranks
        self.margin = recipe.margin(config.degradation)
        data, scale = config.data, config.scale
        clean = load_clean(files.clean, device)
        degraded, sharp = load_pairs(files.pairs, data.pair_scales, scale, device)
        if not clean.sizes and not sharp.sizes:
            raise ConfigError("data: no image or pair to train on, expected some that can be read and are not held out")
        if files.pairs and not sharp.sizes:
            raise ConfigError(f"none of the {len(files.pairs)} pairs to train on can be used; see the warnings above")
        self.clean = self._clean_bank(clean) if clean.sizes else None
        self.pairs = PairBank(degraded, sharp, data.crop, scale, oriented=data.oriented) if sharp.sizes else None

    def __getitem__(self, index: int) -> Pair:
        """Return this process' share of batch ``index``.

        Degraded ``(B, 3, crop / scale, crop / scale)``, clean ``(B, 3, crop, crop)``.
        """
        generator = Generator(self.device).manual_seed(self.config.seed * 1_000_003 + index)
        from_pairs = self._pair_count()
        parts = []
        if self.pairs is not None and from_pairs:
            parts.append(self._real(self.pairs, from_pairs, generator))
        if self.clean is not None and from_pairs < self.batch:
            parts.append(self._synthetic(self.clean, self.batch - from_pairs, generator))
        degraded, clean = (torch.cat(side)[self.share] for side in zip(*parts, strict=True))
        return degraded, clean

    def _clean_bank(self, images: ImageBlock) -> CropBank:
        crop = self.config.data.crop
        try:
            return CropBank(images, crop + 2 * self.margin, oriented=self.config.data.oriented)
        except ConfigError as error:
            reach = f" (crops of {crop}, and {self.margin} around, as far as the degradation reaches)"
            raise ConfigError(f"{error}{reach if self.margin else ''}") from error

    def _pair_count(self) -> int:
        if self.pairs is None:
            return 0
        if self.clean is None:
            return self.batch
        return round(self.batch * self.config.data.pair_share)

    def _real(self, bank: PairBank, count: int, generator: Generator) -> Pair:
        degraded, clean = bank.sample(count, generator)
        return recipe.degrade(degraded, self.config.pair_degradation, generator), clean

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

        The epoch is read at each step: a trainer that resumes asks for the iterator before it tells the epoch.
        """
        for step in range(self.steps):
            yield self.epoch * self.steps + step

    def __len__(self) -> int:
        """Return the steps in an epoch."""
        return self.steps


class ValidationImages(Dataset[Pair]):
    """The middle of every held-out image, degraded, always alike; on the CPU.

    Args:
        config: Crop size and degradation.
        files: What was held out.
        multiple_of: What the degraded H and W must divide by.

    Raises:
        ConfigError: if no image is large enough.
    """

    def __init__(self, config: TrainingConfig, files: Files, multiple_of: int) -> None:
        generator = Generator().manual_seed(config.seed)
        scale, margin = config.scale, recipe.margin(config.degradation)
        size, step = config.data.validation_crop, scale * multiple_of
        self.samples: list[Pair] = []
        for image in read_clean(files.clean):
            if min(image.shape[:2]) >= step + 2 * margin:
                clean = _cut_out(image, _middle(image, size, step, margin))
                self.samples.append(_degrade_inside(clean, config, margin, generator))
        for degraded_image, clean_image in read_pairs(files.pairs, scale):
            if min(clean_image.shape[:2]) >= step:
                window = _middle(degraded_image, size // scale, multiple_of)
                degraded = recipe.degrade(_cut_out(degraded_image, window), config.pair_degradation, generator)
                self.samples.append((degraded, _cut_out(clean_image, window, scale)))
        if not self.samples:
            raise ConfigError(f"none of the images to validate on can be read and has {step + 2 * margin} pixels")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.samples)

    def __getitem__(self, index: int) -> Pair:
        """Return (degraded, clean), each ``(1, 3, H, W)``."""
        return self.samples[index]


def _degrade_inside(clean: Tensor, config: TrainingConfig, margin: int, generator: Generator) -> Pair:
    """Degrade, then cut the margin off both sides, so that no border of the crop shows in the result."""
    degraded = recipe.degrade(clean, config.degradation, generator)
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
    """Cut a window, ``scale`` times enlarged, out of ``(H, W, 3)``; ``(1, 3, h, w)`` floats in ``[0, 1]``."""
    rows, columns = (slice(first * scale, last * scale) for first, last in window)
    return torch.from_numpy(image[rows, columns].copy()).permute(2, 0, 1).unsqueeze(0).float() / 255
