"""Checkpoints that survive whatever happens while they are written, and whatever their folder is called later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then renames it.

    Lightning's own way goes through the system's folder for temporary files: from there to another disk a file is
    copied, and a run that is killed, or whose disk is full, is left with half of its last checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a whole checkpoint, or none.

        Raises:
            OSError: if it cannot be written; the checkpoint of before is still there.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


class FollowFolder(L.Callback):
    """Lets the best checkpoint's record follow a run that was moved or copied.

    Lightning forgets the best PSNR where the folder has another name, so that a worse epoch would take its place, and
    goes on pointing into the old folder.

    Args:
        best: The callback that keeps the best checkpoint.
    """

    def __init__(self, best: ModelCheckpoint) -> None:
        self.best = best

    def on_load_checkpoint(self, trainer: L.Trainer, task: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put this folder into the record of another."""
        record = checkpoint["callbacks"][self.best.state_key]
        here = str(Path(str(self.best.dirpath)) / Path(record["best_model_path"]).name)
        record |= {
            "dirpath": self.best.dirpath,
            "best_model_path": here,
            "kth_best_model_path": here,
            "best_k_models": {here: record["best_model_score"]},
        }
