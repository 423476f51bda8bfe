"""Preparing stages: compiled on GPUs, converted where a back end is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from pipeline.backends.compiled import CompiledStage
from pipeline.backends.preparation import prepare
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine, named_stages
from pipeline.errors import ConfigError
from stages.unsharp_mask import UnsharpMaskConfig


def test_networks_are_compiled_on_gpus_where_asked_for() -> None:
    chain, cpu, gpu = Chain.build(ChainConfig(stages=(UnsharpMaskConfig(),))), torch.device("cpu"), torch.device("cuda")
    stages = named_stages(chain)
    assert prepare(stages, "torch", "fp32", "auto", cpu) == list(chain.stages)
    assert prepare(stages, "torch", "fp32", "off", gpu) == list(chain.stages)
    for when in ("auto", "on"):
        assert isinstance(prepare(stages, "torch", "fp32", when, gpu)[0], CompiledStage)
    with pytest.raises(ConfigError, match="compile: on gains nothing on cpu"):
        prepare(stages, "torch", "fp32", "on", cpu)
    with pytest.raises(ConfigError, match="compile: got 'yes', expected one of auto, on, off"):
        prepare(stages, "torch", "fp32", "yes", cpu)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "precision", "largest", "least_psnr"),
    [("ncnn", "fp32", 1 / 255, 70.0), ("openvino", "fp32", 1 / 255, 70.0), ("openvino", "int8", 16 / 255, 42.0)],
)
def test_a_photo_by_the_shipped_chain(
    shipped: Chain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    precision: str,
    largest: float,
    least_psnr: float,
) -> None:
    pytest.importorskip(backend)
    monkeypatch.setattr("pipeline.backends.conversion.user_cache_path", lambda name: tmp_path)
    photo = data.coffee()[100:260, 200:420]
    exact = Engine(shipped, device="cpu").run(photo).pixels
    restoration = Engine(shipped, device="cpu", backend=backend, precision=precision).run(photo)
    assert all(label.startswith(backend) for label in list(restoration.backends.values())[:3])
    difference = (restoration.pixels.astype(float) - exact) / 255
    assert np.abs(difference).max() <= largest
    assert -10 * np.log10((difference**2).mean() + 1e-12) >= least_psnr
