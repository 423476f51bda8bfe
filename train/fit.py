"""The trainer: budget, callbacks, resume, and the weights file at the end."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from stages.stage import Stage
from stages.weights import Card, load_weights, save_weights
from train.config import CosineSchedule, TrainingConfig
from train.data import Files
from train.source import StepSampler, TrainingBatches, ValidationImages
from train.task import RestorationTask

_OVERWRITE: dict[str, Any] = {"auto_insert_metric_name": False, "enable_version_counter": False}


@dataclass(frozen=True)
class Run:
    """Where a run lies and what it may cost."""

    folder: Path
    max_time: timedelta | None = None
    max_epochs: int = -1
    resume: bool = False
    init: Path | None = None
    precision: str = "32"
    device: str = "auto"

    @property
    def checkpoints(self) -> Path:
        """Return the folder of best.ckpt and last.ckpt; --resume continues from the latter."""
        return self.folder / "checkpoints"


class AnnealOverBudget(L.Callback):
    """Warm up, then a cosine down to zero, over the share of the budget that is spent.

    The budget is time or epochs, whichever runs out first. Time spent before an interruption counts, so that a
    resumed run ends where an uninterrupted one does.
    """

    def __init__(self, schedule: CosineSchedule, rate: float, run: Run, steps_per_epoch: int) -> None:
        self.schedule = schedule
        self.rate = rate
        self.seconds = run.max_time.total_seconds() if run.max_time else math.inf
        self.steps = run.max_epochs * steps_per_epoch if run.max_epochs > 0 else math.inf
        self.spent_before = 0.0
        self.started = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_batch_start(self, trainer: L.Trainer, task: L.LightningModule, batch: Any, index: int) -> None:
        """Set the rate of the coming step; stop when the budget is spent."""
        spent = max(self._elapsed() / self.seconds, trainer.global_step / self.steps)
        rising = spent / self.schedule.warmup if self.schedule.warmup else 1.0
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.rate * min(rising, 0.5 + 0.5 * math.cos(math.pi * min(spent, 1.0)))

    def state_dict(self) -> dict[str, Any]:
        """Keep the time spent in the checkpoint."""
        return {"spent": self._elapsed()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the time spent before the interruption."""
        self.spent_before = state["spent"]

    def _elapsed(self) -> float:
        return self.spent_before + time.monotonic() - self.started


def fit(config: TrainingConfig, train: Files, validation: Files, run: Run, data_name: str) -> Path:
    """Train a stage and export the best averaged weights.

    Args:
        config: What to train and how.
        train: Files that are learnt from.
        validation: Files that are judged by.
        run: Folder and budget.
        data_name: What the weights' card says of the data.

    Returns:
        The weights file, in the run's folder.
    """
    L.seed_everything(config.seed)
    stage = config.stage.build()
    if run.init:
        load_weights(stage, run.init)
    best = ModelCheckpoint(run.checkpoints, filename="best", monitor="val/psnr", mode="max", **_OVERWRITE)
    trainer = build_trainer(config, run, best)
    batches = TrainingBatches(config, train, trainer.strategy.root_device)
    trainer.fit(
        RestorationTask(config, stage),
        DataLoader(batches, batch_size=None, sampler=StepSampler(config.steps_per_epoch)),
        DataLoader(ValidationImages(config, validation, stage.scale * stage.multiple_of), batch_size=None),
        ckpt_path=run.checkpoints / "last.ckpt" if run.resume else None,
    )
    return export(config, Path(best.best_model_path), run.folder, data_name)


def build_trainer(config: TrainingConfig, run: Run, best: ModelCheckpoint) -> L.Trainer:
    """Assemble Lightning's trainer with everything that watches over a run."""
    callbacks: list[L.Callback] = [
        EMAWeightAveraging(decay=config.ema),
        EarlyStopping("val/psnr", mode="max", patience=config.early_stopping, min_delta=0.001),
        LearningRateMonitor("epoch"),
        best,
        ModelCheckpoint(run.checkpoints, filename="last", **_OVERWRITE),
    ]
    if isinstance(config.schedule, CosineSchedule):
        callbacks.append(AnnealOverBudget(config.schedule, config.rate, run, config.steps_per_epoch))
    return L.Trainer(
        default_root_dir=run.folder,
        accelerator=run.device,
        devices=1,
        precision=run.precision,  # type: ignore[arg-type]
        max_epochs=run.max_epochs,
        max_time=run.max_time,
        gradient_clip_val=config.clip,
        callbacks=callbacks,
        logger=[TensorBoardLogger(run.folder, name="log"), CSVLogger(run.folder, name="log")],
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def export(config: TrainingConfig, checkpoint: Path, folder: Path, data_name: str) -> Path:
    """Write the averaged weights of a checkpoint as a weights file with its card."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=False)  # our own file, just written
    stage: Stage = config.stage.build()
    prefix = "stage."
    state = {
        name.removeprefix(prefix): tensor for name, tensor in content["state_dict"].items() if name.startswith(prefix)
    }
    stage.load_state_dict(state)
    card = Card(
        config={"stage": config.stage.stage, **config.stage.architecture()},
        trained_for=config.trained_for,
        data=data_name,
        steps=content["global_step"],
        code_version=version("restorechain"),
    )
    path = folder / f"{config.stage.stage}.safetensors"
    save_weights(path, stage, card)
    return path
