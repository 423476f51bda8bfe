"""ncnn: what crashes or hangs it, or its converter, runs in torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages.stage import Stage
from tests.pipeline.chains import InPlaceStage


class EnsembleStage(Stage):
    """Makes a batch of an image, which crashes ncnn."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(torch.cat([image, image + 1])).mean(dim=0, keepdim=True)


def test_what_crashes_ncnn_runs_in_torch_with_a_warning(ncnn: Any, refusal: Callable[[Any, Stage], str]) -> None:
    warning = refusal(ncnn, EnsembleStage())
    assert re.match(r"stage alone runs in torch: ncnn cannot run it \(exit code -?\d+, ", warning)


def test_a_conversion_that_hangs_is_ended(
    ncnn: Any, refusal: Callable[[Any, Stage], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ncnn, "TIME_LIMIT", 0.01)
    assert refusal(ncnn, InPlaceStage()) == "stage alone runs in torch: pnnx cannot convert it (TimeoutExpired)"
