"""How the learning rate changes: reduced on plateaus, or annealed within the budget.

Both are callbacks, because the trainer's own schedulers do not serve: it steps a ``ReduceLROnPlateau`` only after the
checkpoint of the epoch is written, so that a resumed run would miss a step, and it has no schedule over time.
"""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any

import lightning as L
from torch.optim.lr_scheduler import ReduceLROnPlateau

from train.config import Schedule

# Validation PSNR in dB by which an epoch must surpass the best, lest it count as one of a plateau. Averaged weights
# creep upwards by less for long after the learning rate has stopped mattering.
LEAST_GAIN = 0.005


class ReduceOnPlateau(L.Callback):
    """Step a ``ReduceLROnPlateau`` with the validation PSNR after every epoch."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.state: dict[str, Any] = {}

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Attach to the optimizer; its learning rate is that of the checkpoint in a resumed run."""
        self.plateau = ReduceLROnPlateau(
            trainer.optimizers[0],
            mode="max",
            factor=self.schedule.factor,
            patience=self.schedule.patience,
            threshold=LEAST_GAIN,
            threshold_mode="abs",
        )
        self.plateau.load_state_dict(self.state)

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Reduce the learning rate on a plateau."""
        self.plateau.step(trainer.callback_metrics["val/psnr"].item())
        self.state = self.plateau.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Keep the best PSNR and the epochs since in the checkpoint."""
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.state = state


class AnnealWithinBudget(L.Callback):
    """Warm up, then a cosine down to zero, by the share of the budget that is spent.

    The budget is time or epochs, whichever runs out first. The time that is spent is measured before each step, so
    that the learning rate reaches zero when the time ends, however long a step takes. Time before an interruption
    counts, so that a resumed run ends where an uninterrupted one does. All processes go by the first one's clock.
    """

    def __init__(self, schedule: Schedule, learning_rate: float, max_time: timedelta | None, max_steps: int) -> None:
        self.schedule = schedule
        self.learning_rate = learning_rate
        self.seconds = max_time.total_seconds() if max_time else math.inf
        self.steps = max_steps if max_steps > 0 else math.inf
        self.spent_before = 0.0
        self.started = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_batch_start(self, trainer: L.Trainer, task: L.LightningModule, batch: Any, index: int) -> None:
        """Set the learning rate of the coming step."""
        spent = max(self._elapsed() / self.seconds, trainer.global_step / self.steps)
        if math.isfinite(self.seconds):
            spent = trainer.strategy.broadcast(spent)
        rising = spent / self.schedule.warmup if self.schedule.warmup else 1.0
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.learning_rate * min(rising, 0.5 + 0.5 * math.cos(math.pi * min(spent, 1.0)))

    def state_dict(self) -> dict[str, Any]:
        """Keep the time spent in the checkpoint."""
        return {"spent": self._elapsed()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the time spent before the interruption."""
        self.spent_before = state["spent"]

    def _elapsed(self) -> float:
        return self.spent_before + time.monotonic() - self.started
