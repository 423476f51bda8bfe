"""Training batches and validation images: crops from the bank, degraded by the recipe.

Batch number n depends on n and the seed alone, so a resumed run sees the very batches it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset, Sampler

from train import recipe
from train.config import TrainingConfig
from train.data import CropBank, Files, read_clean, read_pairs

Pair = tuple[Tensor, Tensor]


class TrainingBatches(Dataset[Pair]):
    """An endless row of (degraded, clean) batches on ``device``."""

    def __init__(self, config: TrainingConfig, files: Files, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.margin = recipe.margin(config.degradation)
        crop = config.data.crop
        self.clean = CropBank(read_clean(files.clean), crop + 2 * self.margin, device) if files.clean else None
        self.pairs = CropBank(read_pairs(files.pairs), crop, device) if files.pairs else None

    def __getitem__(self, index: int) -> Pair:
        """Return batch ``index``: degraded ``(B, 3, crop / scale, crop / scale)``, clean ``(B, 3, crop, crop)``."""
        generator = Generator(self.device).manual_seed(self.config.seed * 1_000_003 + index)
        from_pairs = self._pair_count()
        parts = []
        if self.pairs is not None and from_pairs:
            parts.append(self._real(self.pairs, from_pairs, generator))
        if self.clean is not None and from_pairs < self.config.data.batch:
            parts.append(self._synthetic(self.clean, self.config.data.batch - from_pairs, generator))
        degraded, clean = (torch.cat(side) for side in zip(*parts, strict=True))
        return degraded, clean

    def _pair_count(self) -> int:
        if self.pairs is None:
            return 0
        if self.clean is None:
            return self.config.data.batch
        return round(self.config.data.batch * self.config.data.pair_share)

    def _real(self, bank: CropBank, count: int, generator: Generator) -> Pair:
        degraded, clean = bank.sample(count, generator).split(3, dim=1)
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
        multiple_of: What the clean H and W must divide by.
    """

    def __init__(self, config: TrainingConfig, files: Files, multiple_of: int) -> None:
        generator = Generator().manual_seed(config.seed)
        size, margin = config.data.validation_crop, recipe.margin(config.degradation)
        self.samples: list[Pair] = []
        for image in read_clean(files.clean):
            clean = _centre(image, size, multiple_of, margin)
            self.samples.append(_degrade_inside(clean, config, margin, generator))
        for image in read_pairs(files.pairs):
            degraded, clean = _centre(image, size, multiple_of).split(3, dim=1)
            self.samples.append((recipe.degrade(degraded, config.pair_degradation, generator), clean))

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
    return _cut(degraded, margin // scale), _cut(clean, margin)


def _cut(image: Tensor, margin: int) -> Tensor:
    return image[..., margin : image.shape[-2] - margin, margin : image.shape[-1] - margin]


def _centre(image: np.ndarray, size: int, multiple_of: int, margin: int = 0) -> Tensor:
    """Cut the middle of ``(H, W, C)``, at most ``size`` and a margin around it, as ``(1, C, H, W)`` floats."""
    inner = (min(size, extent - 2 * margin) // multiple_of * multiple_of for extent in image.shape[:2])
    height, width = (extent + 2 * margin for extent in inner)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    middle = image[top : top + height, left : left + width]
    return torch.from_numpy(np.ascontiguousarray(middle)).permute(2, 0, 1).unsqueeze(0).float() / 255
