"""OpenVINO: int8 where it is near fp32, and what it costs the shipped networks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import named_stages
from pipeline.evaluation.metrics import psnr_rgb
from stages.dncnn import DnCNNConfig
from stages.stage import Stage
from tests.pipeline.chains import chain_of

Degrade = Callable[[Tensor], Tensor]
DNCNN = DnCNNConfig(depth=4, width=8, unshuffle=2, skips=True, batch_norm=False)


def test_int8_is_near_fp32_or_refused(
    openvino: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, openvino.__name__)
    chain = chain_of(DNCNN, gain=0.5)
    chain.stages[0].get_submodule("model")[-1].weight.data *= 0.1  # what it adds is small, as in trained networks
    (stage,) = openvino.convert(named_stages(chain), int8=True, folder=tmp_path)
    assert stage.label == "openvino int8"
    image = torch.rand(1, 3, 40, 24)
    difference = stage(image) - chain.stages[0](image)
    assert 0 < difference.square().mean().sqrt() < 10 ** (-openvino.NEAR / 20)
    assert caplog.messages == []


@pytest.mark.parametrize(("fast_in_bf16", "label"), [(True, "openvino bf16"), (False, "openvino int8")])
def test_where_int8_loses_too_much_another_way_is_found(
    openvino: Any,
    fast_in_bf16: bool,
    label: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    chain = chain_of(DNCNN, gain=0.5)
    wrong, right = (openvino._export(each.stages[0]) for each in (chain_of(DNCNN, gain=0.4), chain))
    monkeypatch.setattr("pipeline.backends.int8.quantise", lambda model, photos, ends: right if ends else wrong)
    monkeypatch.setattr(openvino, "cpu_is_faster_in_bf16", lambda: fast_in_bf16)
    for _ in range(2):
        caplog.clear()
        (stage,) = openvino.convert(named_stages(chain), int8=True, folder=tmp_path)
        assert stage.label == label
        (warning,) = caplog.messages
        assert warning.startswith("stage dncnn does not run in int8: int8 reaches ")
    image = torch.rand(1, 3, 40, 24)
    difference = stage(image) - chain.stages[0](image)
    assert difference.square().mean().sqrt() < 10 ** (-openvino.NEAR / 20)


def noisy(clean: Tensor) -> Tensor:
    return clean + 25 / 255 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))


def blurred(clean: Tensor) -> Tensor:
    pixels = cv2.GaussianBlur(clean[0].permute(1, 2, 0).numpy(), (0, 0), 1.2)
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)


def halved(clean: Tensor) -> Tensor:
    return F.interpolate(clean, scale_factor=0.5, mode="bicubic", antialias=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "folder", "degrade"), [("dncnn", "CBSD68", noisy), ("unet", "CBSD68", blurred), ("edsr", "Set5", halved)]
)
def test_int8_costs_less_than_a_tenth_of_a_decibel(
    openvino: Any, name: str, folder: str, degrade: Degrade, shipped: Chain, shared_data: Path, tmp_path: Path
) -> None:
    """Stages that were refused cost nothing."""
    stage = shipped.stages[shipped.names.index(name)]
    chain = Chain(ChainConfig(stages=(shipped.config.stages[shipped.names.index(name)],)), [stage])
    (int8,) = openvino.convert(named_stages(chain), int8=True, folder=tmp_path)
    images = [_read(path) for path in sorted((shared_data / "test" / folder).glob("*.*"))[:16]]
    assert images
    with torch.inference_mode():
        exact, quantised = (_mean_psnr(network, images, degrade) for network in (stage, int8))
    assert quantised > exact - 0.1


def _read(path: Path) -> Tensor:
    """Read an image as ``(1, 3, H, W)`` in ``[0, 1]``, cropped to multiples of 16."""
    pixels = cv2.imread(str(path))[..., ::-1].astype(np.float32) / 255
    height, width = (side // 16 * 16 for side in pixels.shape[:2])
    return torch.from_numpy(pixels[:height, :width].copy()).permute(2, 0, 1).unsqueeze(0)


def _mean_psnr(network: Stage, images: Sequence[Tensor], degrade: Degrade) -> float:
    return mean(psnr_rgb(network(degrade(clean).clamp(0, 1)).clamp(0, 1), clean) for clean in images)
