from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from train.callbacks.schedules import LEAST_GAIN, ReduceOnPlateau
from train.config import Schedule


@pytest.mark.parametrize(("gain", "reduced"), [(LEAST_GAIN / 5, True), (LEAST_GAIN * 2, False)])
def test_an_epoch_that_gains_next_to_nothing_is_one_of_a_plateau(gain: float, reduced: bool) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    trainer: Any = SimpleNamespace(optimizers=[optimizer], callback_metrics={})
    callback = ReduceOnPlateau(Schedule(kind="plateau", patience=1, factor=0.5))
    callback.on_train_start(trainer, None)  # type: ignore[arg-type]
    for epoch in range(4):
        trainer.callback_metrics["val/psnr"] = torch.tensor(27.5 + epoch * gain)
        callback.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
    assert (optimizer.param_groups[0]["lr"] < 1.0) is reduced
