"""Checkpoints that survive a crash while they are written, and a move of their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from stages.atomic import written_whole


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then renames it.

    Lightning writes into the system's folder for temporary files first. If that is on another disk, the checkpoint is
    then copied, and a run that is killed meanwhile, or whose disk is full, is left with half a checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write the whole checkpoint or nothing.

        Raises:
            OSError: if it cannot be written; the previous checkpoint is still there.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(target) as partial, partial.open("wb") as file:
            torch.save(checkpoint, file)


class FollowFolder(L.Callback):
    """Corrects the record of the best checkpoint when a resumed run's folder was moved or copied.

    Otherwise Lightning would forget the best PSNR, so that a worse epoch would take its place, and would still point
    into the old folder.

    Args:
        best: The callback that keeps the best checkpoint.
    """

    def __init__(self, best: ModelCheckpoint) -> None:
        self.best = best

    def on_load_checkpoint(self, trainer: L.Trainer, task: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Replace the old folder by this one in the loaded record."""
        record = checkpoint["callbacks"][self.best.state_key]
        here = str(Path(str(self.best.dirpath)) / Path(record["best_model_path"]).name)
        record |= {
            "dirpath": self.best.dirpath,
            "best_model_path": here,
            "kth_best_model_path": here,
            "best_k_models": {here: record["best_model_score"]},
        }
