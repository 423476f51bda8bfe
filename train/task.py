"""One training step and one validation step, as Lightning wants them."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from stages.stage import Stage
from train.config import PlateauSchedule, TrainingConfig
from train.losses import LOSSES


def capped_psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """PSNR in dB of ``(1, 3, H, W)``, at most 45.

    Held-out images that were hardly degraded would else outweigh all others: from 60 dB to 50 is a loss that nobody
    sees and that ten images must gain a whole dB to make good.
    """
    return peak_signal_noise_ratio(restored, clean, data_range=1.0).clamp_max(45)


class RestorationTask(L.LightningModule):
    """Teaches a stage to undo what the batches did to clean images."""

    def __init__(self, config: TrainingConfig, stage: Stage) -> None:
        super().__init__()
        self.config = config
        self.stage = stage
        self.stage.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = LOSSES[config.loss]

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss of one batch of (degraded, clean)."""
        degraded, clean = batch
        loss = self.loss(self.stage(degraded.contiguous(memory_format=torch.channels_last)), clean)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Log the PSNR (RGB) of one held-out image; the trainer averages over images."""
        degraded, clean = batch
        psnr = capped_psnr(self.stage(degraded).clamp(0, 1), clean)
        self.log("val/psnr", psnr, prog_bar=True, batch_size=len(clean))

    def configure_optimizers(self) -> Any:
        """Adam; with the plateau schedule, its rate follows the validation PSNR."""
        optimizer = torch.optim.Adam(self.stage.parameters(), lr=self.config.rate)
        schedule = self.config.schedule
        if not isinstance(schedule, PlateauSchedule):
            return optimizer
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode="max", factor=schedule.factor, patience=schedule.patience
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val/psnr"}}
