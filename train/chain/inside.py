"""Training inside a chain: stages before the trained one make its input, those behind it its output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from pipeline.chain.chain import Chain
from train.chain.route import Route
from train.data.batches import Pair, cut_margin


class Inside:
    """The frozen stages around the one that is trained; a stage that is trained alone has none.

    It is no ``nn.Module``, and a deep copy of it is the object itself, because these stages belong neither into
    checkpoints nor into the averaged copy of the trained stage.

    Args:
        route: Which stages; a copy that never runs stands in the place of the trained one.
        device: Where they run.

    Raises:
        ConfigError: for weights that do not fit their stage.
    """

    def __init__(self, route: Route, device: torch.device) -> None:
        self.chain = Chain.build(route.chain)
        self.indices_before = range(route.index)
        self.indices_after = range(route.index + 1, len(self.chain.stages))
        self.device = device
        for index in (*self.indices_before, *self.indices_after):
            stage = self.chain.stages[index].requires_grad_(False)
            stage.to(device).to(memory_format=torch.channels_last)

    def before(self, degraded: Tensor) -> Tensor:
        """Return what reaches the trained stage, clamped as when the chain runs; float32, where the image lies."""
        image = degraded.to(self.device)
        with torch.no_grad():
            for index in self.indices_before:
                image = self.chain.run_stage(index, image).clamp(0, 1)
        return image.to(degraded.device)

    def after(self, restored: Tensor) -> Tensor:
        """Return the trained stage's result as the loss takes it: not clamped, and with its gradient."""
        for index in self.indices_after:
            restored = self.chain.run_stage(index, restored.clamp(0, 1))
        return restored

    def __deepcopy__(self, memo: dict[int, Any]) -> Inside:
        return self


class Behind(Dataset[Pair]):
    """Batches whose degraded side, or a share of it, has been through the stages before the trained one.

    Args:
        batches: (degraded, clean), of process ``rank`` of ``ranks``.
        inside: The stages.
        margin: Degraded pixels that are cut off every border afterwards; the same part of the image in both.
        share: Share of the images that go through; the others stay as they are.
        rank: This process, from 0.
        ranks: All processes.
    """

    def __init__(
        self, batches: Dataset[Pair], inside: Inside, margin: int, share: float = 1.0, rank: int = 0, ranks: int = 1
    ) -> None:
        self.batches = batches
        self.inside = inside
        self.margin = margin
        self.share = share
        self.mine = slice(rank, None, ranks)
        self.ranks = ranks

    def __getitem__(self, index: int) -> Pair:
        """Return (what reaches the trained stage, clean) of a batch."""
        degraded, clean = self.batches[index]
        reached = self.inside.before(degraded) if self.share == 1 else self._some(degraded, index)
        before, compared = (side.shape[-1] // degraded.shape[-1] for side in (reached, clean))
        return cut_margin(reached, self.margin * before), cut_margin(clean, self.margin * compared)

    def _some(self, degraded: Tensor, index: int) -> Tensor:
        """Send a random share of the images through; of a small batch it may be none."""
        drawn = torch.rand(len(degraded) * self.ranks, generator=Generator().manual_seed(index))[self.mine]
        through = (drawn < self.share).to(degraded.device)
        reached = degraded.clone()
        if through.any():
            reached[through] = self.inside.before(degraded[through])
        return reached
