"""One training step and one validation step, as Lightning wants them."""

from __future__ import annotations

from stages import torchvision_guard as _torchvision_guard  # noqa: F401  (before lightning)

# isort: split

import lightning as L
import torch
from torch import Tensor

from pipeline.evaluation.metrics import psnr_rgb
from stages.layers import with_planes
from stages.stage import Stage
from train.chain.inside import Inside
from train.config import TrainingConfig
from train.losses.noise_level import noise_level_of
from train.losses.objective import Objective
from train.optimizers import OPTIMIZERS
from train.teacher import Teacher

_PSNR_CAP = 45.0


def capped_psnr(restored: Tensor, clean: Tensor) -> float:
    """Return the PSNR in dB of ``(1, 3, H, W)`` images on any device, at most 45.

    Without the cap, images that were hardly degraded would outweigh all others: a fall from 60 dB to 50 is invisible,
    but ten images would have to gain a whole dB to make up for it.
    """
    return min(_PSNR_CAP, psnr_rgb(restored.cpu(), clean.cpu()))


class RestorationTask(L.LightningModule):
    """Trains a stage to restore degraded images; the loss is taken after the stages behind it, if any.

    With a teacher, part of the loss compares with what those stages make of the teacher's output instead, on the crops
    on which it is the better one: a teacher passes on its errors on degradations that it was not trained for.
    """

    def __init__(self, config: TrainingConfig, stage: Stage, inside: Inside, teacher: Teacher | None = None) -> None:
        super().__init__()
        self.config = config
        self.stage = stage
        self.stage.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.noise_level and not config.noise_level.weight:
            self.stage.estimator.requires_grad_(False)
        if config.compile:
            self.stage.compile()
        self.inside = inside
        self.teacher = teacher
        self.objective = Objective(config.loss)

    def on_fit_start(self) -> None:
        """Move the objective to the stage's device; Lightning moves only the stage."""
        self.objective.to(self.device)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss of one batch of (degraded, clean)."""
        loss, terms = self._losses(*batch)
        self.log("train/loss", loss, prog_bar=True, sync_dist=True)
        self.log("train/epoch_loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        self.log_dict({f"train/{kind}": value.detach() for kind, value in terms.items()}, sync_dist=True)
        return loss

    def _losses(self, degraded: Tensor, clean: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what is minimized, and the parts that it is made of by name."""
        degraded = degraded.contiguous(memory_format=torch.channels_last)
        level = self.config.noise_level
        if level is None:
            return self._restoration_losses(degraded, degraded, clean)
        true, estimated = noise_level_of(degraded, clean), self.stage.measure(degraded)
        level_loss = level.loss(estimated, true)
        given = with_planes(degraded, level.given(estimated, true)).contiguous(memory_format=torch.channels_last)
        loss, terms = self._restoration_losses(given, degraded, clean)
        return loss + level_loss, {**terms, "noise_level": level_loss}

    def _restoration_losses(self, given: Tensor, degraded: Tensor, clean: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        restored = self.inside.after(self.stage(given))
        loss, terms = self.objective(restored, clean)
        if self.teacher:
            terms["teacher"] = self._distance_to_teacher(self.teacher, degraded, restored, clean)
            loss = (1 - self.teacher.share) * loss + self.teacher.share * terms["teacher"]
        return loss, terms

    def _distance_to_teacher(self, teacher: Teacher, degraded: Tensor, restored: Tensor, clean: Tensor) -> Tensor:
        """Compare with the teacher's output where that is the better one, with the clean image elsewhere."""
        with torch.no_grad():
            target = self.inside.after(teacher(degraded, clean))
            better = _squared_error(target, clean) < _squared_error(restored, clean)
            target = torch.where(better, target, clean)
        return self.objective(restored, target)[0]

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Log the PSNR (RGB) of one held-out image and return it restored; the trainer averages over images.

        ``forward`` bypasses the compiled network, which would be compiled anew for each size of image.
        """
        degraded, clean = batch
        restored = self.inside.after(self.stage.forward(degraded)).clamp(0, 1)
        self.log("val/psnr", capped_psnr(restored, clean), batch_size=len(clean), sync_dist=True)
        return restored

    def on_train_epoch_start(self) -> None:
        """Log the learning rate that the epoch begins with."""
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"], sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimizer; the schedule, a callback, changes its learning rate."""
        config = self.config
        build = OPTIMIZERS[config.optimizer]
        return build(self.stage.parameters(), config.learning_rate, config.weight_decay, self.device.type)


def _squared_error(image: Tensor, clean: Tensor) -> Tensor:
    """Return the mean squared error of each image, ``(B, 1, 1, 1)``."""
    return (image - clean).square().mean(dim=(1, 2, 3), keepdim=True)
