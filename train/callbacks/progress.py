"""Progress of a run: a line for every epoch, and on a terminal a bar below them."""

from __future__ import annotations

import time
from datetime import timedelta
from statistics import fmean
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console

from stages.layers import bicubic_upscale
from stages.profile import count_parameters
from stages.stage import Stage
from train.callbacks.schedules import LEAST_GAIN
from train.config import TrainingConfig
from train.data.batches import ValidationImages
from train.run import Run
from train.task import capped_psnr


class Bar(RichProgressBar):
    """Lightning's bar, with epochs counted from 1, and the loss."""

    def __init__(self) -> None:
        super().__init__(leave=False)

    def get_metrics(self, trainer: L.Trainer, task: L.LightningModule) -> dict[str, Any]:
        """Return what the bar ends with."""
        return {"loss": trainer.progress_bar_metrics.get("train/loss", "")}

    def _get_train_description(self, current_epoch: int) -> str:
        return numbered(current_epoch, self.trainer.max_epochs)


class EpochLines(L.Callback):
    """Print step, loss, PSNR, learning rate and time after every epoch.

    Args:
        best: The callback that keeps the best checkpoint.
    """

    def __init__(self, best: ModelCheckpoint) -> None:
        self.best = best
        self.started = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Print the line of an epoch; the checkpoint callbacks come after this one."""
        reached = trainer.callback_metrics
        psnr = reached["val/psnr"].item()
        best = self.best.best_model_score
        verdict = "the best" if best is None or psnr > best else f"best {best:.2f}"
        print_line(
            f"{numbered(trainer.current_epoch, trainer.max_epochs)}: step {trainer.global_step}, "
            f"loss {reached['train/epoch_loss']:.3g}, {psnr:.2f} dB ({verdict}), "
            f"learning rate {reached['learning_rate']:.2g}, {timedelta(seconds=round(time.monotonic() - self.started))}"
        )


def progress_of(best: ModelCheckpoint) -> list[L.Callback]:
    """Build the callbacks; the bar only for a terminal, as in a file it would be noise."""
    return [EpochLines(best), *([Bar()] if Console().is_terminal else [])]


def print_start(
    stage: Stage, images: ValidationImages, config: TrainingConfig, run: Run, trainer: L.Trainer, data_name: str
) -> None:
    """Print the network, its data, how the learning rate changes, and the PSNR of the degraded images to exceed."""
    start = [capped_psnr(bicubic_upscale(degraded, config.scale), clean) for degraded, clean in images.samples]
    count = count_parameters(stage)
    print_line(f"{config.stage.stage}: {count:,} parameters, {trainer.precision} on {trainer.strategy.root_device}")
    print_line(f"training on {data_name}; validating on {images.described()}, {fmean(start):.2f} dB when degraded")
    print_line(described_schedule(config, run))


def described_schedule(config: TrainingConfig, run: Run) -> str:
    """Return how the learning rate of a run changes, and when the run ends."""
    schedule = config.schedule
    stop = f"early stopping after {config.early_stopping} epochs without {LEAST_GAIN} dB more"
    if run.schedule_kind(schedule) == "plateau":
        return (
            f"learning rate {config.learning_rate:g}, times {schedule.factor:g} after more than {schedule.patience} "
            f"epochs without {LEAST_GAIN} dB more (ReduceLROnPlateau); {stop}"
        )
    epochs = [f"{run.max_epochs} epoch{'s' * (run.max_epochs > 1)}"] if run.max_epochs > 0 else []
    times = [f"{run.max_time}"] if run.max_time else []
    budget = " or ".join([*times, *epochs])
    return f"learning rate {config.learning_rate:g}, annealed by a cosine to 0 within the budget of {budget}; {stop}"


def numbered(epoch: int, last: int | None) -> str:
    """Return ``epoch 3 of 20``, or ``epoch 3`` where there is no last one; Lightning counts from 0."""
    return f"epoch {epoch + 1} of {last}" if last and last > 0 else f"epoch {epoch + 1}"


@rank_zero_only
def print_line(line: str) -> None:
    """Print a line at once, also into a file or a pipe."""
    print(line, flush=True)
