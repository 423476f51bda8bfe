"""Callbacks that check a run: stop one that has diverged, and write sheets of restored validation images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch

from pipeline.errors import RestorationError
from train.callbacks.sheets import Row, write_sheet

_SHEET_ROWS = 6
_STEPS_BETWEEN = 50
_LARGEST_LOSS = 1000.0  # of images in [0, 1], where an untrained network has less than 1


class Diverged(RestorationError):  # noqa: N818  (what happened, not a fault of the program)
    """Weights or losses became NaN, infinite or absurd; the checkpoints are from before that."""


class StopWhenDiverged(L.Callback):
    """Stop when weights or losses are not finite, or losses absurdly large, before a checkpoint can be written of them.

    Single losses may be infinite in half precision, where the gradient scaler skips the step and training continues.
    """

    def __init__(self) -> None:
        self._losses: list[torch.Tensor] = []  # since the last check

    def on_train_batch_end(
        self, trainer: L.Trainer, task: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Check every few steps only, because it makes the device wait, and always before a validation.

        Raises:
            Diverged: if a weight is NaN or infinite, or all losses since the last check are, or their median is above
                1000.
        """
        self._losses.append(outputs["loss"].detach())
        if (index + 1) % _STEPS_BETWEEN and index + 1 < trainer.num_training_batches:
            return
        losses = torch.stack(self._losses)
        self._losses = []
        finite_weights = torch.stack([parameter.isfinite().all() for parameter in task.parameters()]).all()
        faults = {
            "weights are not finite": ~finite_weights,
            "loss is not finite": ~losses.isfinite().any(),
            f"loss is above {_LARGEST_LOSS:g}": losses.median() > _LARGEST_LOSS,
        }
        for what, has_happened in faults.items():
            if has_happened.item():
                raise Diverged(
                    f"the {what} after step {trainer.global_step}; take a lower `learning_rate` or `grad_clip`"
                )


class ValidationSheets(L.Callback):
    """Write the first validation images as a sheet every few epochs.

    Args:
        folder: Where the sheets go, named by epoch; the first is 1, as in the log.
        epochs: How many lie between two sheets.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        self.folder = folder
        self.epochs = epochs
        self.rows: list[Row] = []

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        task: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep an image and its restoration by the averaged weights."""
        if trainer.is_global_zero and trainer.current_epoch % self.epochs == 0 and batch_idx < _SHEET_ROWS:
            self.rows.append({"degraded": batch[0], "restored": outputs, "clean": batch[1]})

    def on_validation_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Write the sheet of the images kept."""
        if self.rows:
            write_sheet(self.folder / f"epoch_{trainer.current_epoch + 1:04}.png", self.rows)
            self.rows = []
