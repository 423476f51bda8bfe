"""Devices by name, precisions and the stopwatch."""

import time

import numpy as np
import pytest
import torch

from pipeline.device.computing import choose_precision, computing
from pipeline.device.find import find_device
from pipeline.device.stopwatch import Stopwatch
from pipeline.errors import ConfigError

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(
    ("gpus", "mps", "best"), [(2, False, "cuda:0"), (0, True, "mps"), (1, True, "cuda:0"), (0, False, "cpu")]
)
def test_auto_is_the_fastest_device(monkeypatch, gpus, mps, best):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
    assert find_device("auto") == torch.device(best)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:1", ""])
def test_unknown_devices_are_refused(device):
    with pytest.raises(ConfigError, match=r"device: got .*expected auto or .*cpu"):
        find_device(device)


@pytest.mark.parametrize(
    ("device", "dtype", "precision"),
    [(GPU, "uint8", "fp16"), (GPU, "uint16", "fp32"), (GPU, "float32", "fp32"), (CPU, "uint8", "fp32")],
)
def test_half_precision_is_chosen_where_it_costs_no_depth(device, dtype, precision):
    assert choose_precision("auto", device, np.dtype(dtype)) == precision
    assert choose_precision("bf16", device, np.dtype(dtype)) == "bf16"


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
def test_networks_compute_in_the_precision(precision, dtype):
    convolution = torch.nn.Conv2d(3, 3, 1)
    with computing(CPU, precision):
        result = convolution(torch.rand(1, 3, 4, 4))
    assert result.dtype == dtype
    assert not result.requires_grad


def test_fp32_holds_inside_of_foreign_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16), computing(CPU, "fp32"):
        assert torch.nn.Conv2d(3, 3, 1)(torch.rand(1, 3, 4, 4)).dtype == torch.float32


def test_the_stopwatch_adds_up_by_name():
    watch = Stopwatch(CPU)
    for _ in range(2):
        with watch.lap("slow"):
            time.sleep(0.01)
    with watch.lap("fast"):
        pass
    seconds = watch.seconds()
    assert seconds["slow"] >= 0.02
    assert seconds["fast"] < 0.01
