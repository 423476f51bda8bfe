"""The trainer: budget, callbacks, resume, and the weights file at the end."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages import torchvision_guard as _torchvision_guard  # noqa: F401  (before lightning)

# isort: split

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from pipeline.device.find import find_device
from pipeline.errors import RestorationError
from stages.encoder_unet import EncoderUNet
from stages.registry import config_from
from stages.stage import Stage
from stages.weights import Card, load_weights, resolve, save_weights
from train.callbacks.checkpoints import FollowFolder, WholeCheckpoints
from train.callbacks.curves import plot_curves
from train.callbacks.progress import Bar, print_start, progress_of
from train.callbacks.schedules import LEAST_GAIN, AnnealWithinBudget, ReduceOnPlateau
from train.callbacks.watch import Diverged, StopWhenDiverged, ValidationSheets
from train.chain.inside import Behind, Inside
from train.config import TrainingConfig
from train.data.batches import StepSampler, TrainingBatches, ValidationImages
from train.data.layouts import Files
from train.precision import lightning_precision, tf32_allowed
from train.run import Run, TrainingInterrupted
from train.task import RestorationTask
from train.teacher import Teacher
from train.training import Training

_log = logging.getLogger(__name__)
_OVERWRITE: dict[str, Any] = {"auto_insert_metric_name": False, "enable_version_counter": False}


def fit(training: Training, train: Files, validation: Files, run: Run, data_name: str) -> Path:
    """Train a stage and export the best averaged weights.

    Args:
        training: What to train and how.
        train: Files to train on.
        validation: Files to validate on.
        run: Folder and budget.
        data_name: What the weights' card says of the data.

    Returns:
        The weights file, in the run's folder; that folder in all processes but the first.

    Raises:
        ConfigError: if the folder, the device or the budget is not what the run needs.
        Diverged: if weights or losses became NaN or infinite; the best ones before that are exported.
        TrainingInterrupted: by Ctrl-C or SIGTERM; the best weights so far are exported.
        RestorationError: if the budget was spent before the first validation.
    """
    config = training.config
    L.seed_everything(config.seed)
    stage = build_stage(config, run)
    trainer = build_trainer(config, run)
    with run.alone() if trainer.is_global_zero else nullcontext(), tf32_allowed(trainer.strategy.root_device):
        if trainer.is_global_zero:
            run.check(config, train, validation)
            run.keep(config, train, validation)
        card = card_of(training, data_name)
        inside = Inside(training.route, trainer.strategy.root_device)
        images = ValidationImages(config, validation, training.route.multiple_of)
        loaders = build_loaders(training, train, images, inside, trainer)
        print_start(stage, images, config, run, trainer, data_name)
        teacher = Teacher(config.teacher, trainer.strategy.root_device) if config.teacher else None
        run_trainer(trainer, RestorationTask(config, stage, inside, teacher), loaders, run, card)
        if not trainer.is_global_zero:
            return run.folder
        log_early_stop(trainer)
        return conclude(run, card)


def run_trainer(
    trainer: L.Trainer, task: RestorationTask, loaders: tuple[DataLoader, DataLoader], run: Run, card: Card
) -> None:
    """Run the trainer to its end.

    Raises:
        Diverged, TrainingInterrupted: as `fit`, once the best weights so far are exported.
    """
    try:
        trainer.fit(task, *loaders, ckpt_path=run.last if run.resume else None)
    except Diverged as error:
        raise Diverged(f"{error}{rescue(trainer, run, card)}") from error
    except (KeyboardInterrupt, SystemExit) as error:  # the latter is what Lightning makes of Ctrl-C and SIGTERM
        advice = "resume it to continue" if run.last.is_file() else "start it again"
        text = f"interrupted in epoch {trainer.current_epoch + 1}; {advice}"
        raise TrainingInterrupted(f"{text}{rescue(trainer, run, card)}") from error


def rescue(trainer: L.Trainer, run: Run, card: Card) -> str:
    """Export the best weights of a run that broke off, if it has any; return what to add to the error."""
    if not trainer.is_global_zero:
        return ""
    if not run.best.is_file():
        return "; there are no weights of before, as no epoch was finished"
    return f"; the best weights so far are in {conclude(run, card)}, to start another run from by init"


def build_stage(config: TrainingConfig, run: Run) -> Stage:
    """Build the stage with the weights that the run begins with; a resumed run finds its own later."""
    stage = config.stage.build()
    if config.pretrained and isinstance(stage, EncoderUNet) and not (run.resume or run.init):
        config.pretrained.load_into(stage)
    if run.init:
        load_weights(stage, resolve(str(run.init), Path()))
    return stage


def build_loaders(
    training: Training, train: Files, images: ValidationImages, inside: Inside, trainer: L.Trainer
) -> tuple[DataLoader, DataLoader]:
    """Return this process' training batches and the validation images, as they reach the stage."""
    rank, ranks, config = trainer.global_rank, trainer.world_size, training.config
    batches = TrainingBatches(training.widened(), train, inside.device, rank, ranks)
    reached = Behind(batches, inside, training.margin, config.share, rank, ranks)
    met = [(inside.before(degraded), clean) for degraded, clean in images.samples]
    return (
        DataLoader(reached, batch_size=None, sampler=StepSampler(config.steps_per_epoch * config.accumulate)),
        DataLoader(met, batch_size=None),  # type: ignore[arg-type]  # a list has all that it asks of a dataset
    )


def build_trainer(config: TrainingConfig, run: Run) -> L.Trainer:
    """Assemble Lightning's trainer with everything that watches over a run.

    Raises:
        ConfigError: if this machine has not the devices, or those not the precision.
    """
    device = find_device(run.device)
    best = ModelCheckpoint(run.checkpoints, filename=run.best.stem, monitor="val/psnr", mode="max", **_OVERWRITE)
    callbacks: list[L.Callback] = [
        EMAWeightAveraging(decay=config.ema_decay),
        StopWhenDiverged(),
        ValidationSheets(run.folder / "sheets", config.sheet_epochs),
        schedule_of(config, run),
        EarlyStopping("val/psnr", mode="max", patience=config.early_stopping, min_delta=LEAST_GAIN),
        FollowFolder(best),
        *progress_of(best),
        best,
        ModelCheckpoint(run.checkpoints, filename=run.last.stem, **_OVERWRITE),
    ]
    return L.Trainer(
        default_root_dir=run.folder,
        accelerator=device.type,
        devices=[device.index] if device.index and run.devices == 1 else run.devices,
        num_nodes=run.nodes,
        strategy="ddp" if run.devices * run.nodes > 1 else "auto",
        precision=lightning_precision(run.precision, run.device),  # type: ignore[arg-type]
        max_epochs=run.max_epochs,
        max_time=run.max_time,
        accumulate_grad_batches=config.accumulate,
        gradient_clip_val=config.grad_clip,
        callbacks=callbacks,
        plugins=WholeCheckpoints(),
        # Flushed at once: a killed run must find in its log all that came before its checkpoint.
        logger=[TensorBoardLogger(run.folder, "tensorboard"), CSVLogger(run.folder, "log", flush_logs_every_n_steps=1)],
        log_every_n_steps=min(50, config.steps_per_epoch),
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(callback, Bar) for callback in callbacks),
        use_distributed_sampler=False,
    )


def schedule_of(config: TrainingConfig, run: Run) -> L.Callback:
    """Build the callback that the run's schedule stands for."""
    if run.schedule_kind(config.schedule) == "plateau":
        return ReduceOnPlateau(config.schedule)
    max_steps = run.max_epochs * config.steps_per_epoch
    return AnnealWithinBudget(config.schedule, config.learning_rate, run.max_time, max_steps)


def log_early_stop(trainer: L.Trainer) -> None:
    """Say that a run ended before its budget, and why."""
    watch = trainer.early_stopping_callback
    if watch is not None and watch.stopping_reason_message:
        _log.info("stopped after %d epochs: %s", trainer.current_epoch, watch.stopping_reason_message)


def card_of(training: Training, data_name: str) -> Card:
    """Return the card of the weights; only the number of steps is still missing."""
    config = training.config
    taught = f"taught by {config.teacher.note()}" if config.teacher else ""
    return Card(
        config={"stage": config.stage.stage, **config.stage.architecture()},
        trained_for=config.trained_for + training.route.note(),
        data=data_name + (f"; {config.teacher.share:.0%} of the loss {taught}" if config.teacher else ""),
        origin="restorechain" + (f", {taught}" if config.teacher else ""),
        code_version=version("restorechain"),
        training=config.model_dump(mode="json"),
    )


def conclude(run: Run, card: Card) -> Path:
    """Export the averaged weights of the best checkpoint with their card, and plot the curves.

    Raises:
        RestorationError: if the budget was spent before the first validation.
    """
    if not run.best.is_file():
        raise RestorationError("the run ended before its first validation; give it more time")
    checkpoint = torch.load(run.best, map_location="cpu", weights_only=False)  # our own file, just written
    stage = config_from(card).build()
    prefix = "stage."
    state = checkpoint["state_dict"].items()
    stage.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in state if name.startswith(prefix)})
    path = run.folder / f"{card.config['stage']}.safetensors"
    save_weights(path, stage, card.model_copy(update={"steps": checkpoint["global_step"]}))
    plot_curves(run.folder)
    return path
