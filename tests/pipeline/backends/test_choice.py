"""The choice of a back end for a device, a precision and the installed packages."""

from __future__ import annotations

import re

import pytest
import torch

from pipeline.backends import choice
from pipeline.backends.choice import choose_backend
from pipeline.errors import ConfigError
from stages.extras import install_hint

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(
    ("backend", "device", "precision", "installed", "expected"),
    [
        ("auto", CPU, "auto", True, "auto"),
        ("auto", CPU, "fp32", ["openvino", "nncf", "platformdirs"], "auto"),
        ("auto", CPU, "int8", True, "openvino"),
        ("auto", CPU, "bf16", True, "torch"),
        ("auto", CPU, "auto", False, "torch"),
        ("auto", GPU, "auto", True, "torch"),
        ("torch", CPU, "auto", True, "torch"),
        ("openvino", CPU, "fp32", True, "openvino"),
        ("ncnn", CPU, "fp32", True, "ncnn"),
        ("ncnn", CPU, "fp32", ["ncnn", "platformdirs"], "backend: ncnn cannot be used, it is not installed"),
        ("ncnn", CPU, "int8", True, "backend: ncnn cannot be used, it computes in fp32, got precision int8"),
        (
            "openvino",
            CPU,
            "fp32",
            False,
            f"backend: openvino cannot be used, it is not installed; {re.escape(install_hint('cpu'))}",
        ),
        (
            "openvino",
            GPU,
            "fp32",
            True,
            "backend: openvino cannot be used, it runs on the CPU only, and the device is cuda:0",
        ),
        (
            "openvino",
            CPU,
            "fp16",
            True,
            "backend: openvino cannot be used, it computes in fp32 or int8, got precision fp16",
        ),
        (
            "torch",
            CPU,
            "int8",
            True,
            "precision: int8 cannot be used, torch does not compute in it, expected backend openvino",
        ),
        ("auto", CPU, "int8", False, "precision: int8 cannot be used, it is not installed"),
        ("tensorrt", CPU, "auto", True, "backend: got 'tensorrt', expected one of auto, torch, ncnn, openvino"),
    ],
)
def test_the_choice(
    backend: str,
    device: torch.device,
    precision: str,
    installed: bool | list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = (
        installed if isinstance(installed, list) else ["ncnn", "nncf", "openvino", "platformdirs", "pnnx"] * installed
    )
    monkeypatch.setattr(choice, "find_spec", lambda name: object() if name in there else None)
    if expected in choice.BACKENDS:
        assert choose_backend(backend, device, precision) == expected
        return
    with pytest.raises(ConfigError, match=expected):
        choose_backend(backend, device, precision)


@pytest.mark.parametrize(
    ("missing", "precision", "expected"),
    [
        (set(), "auto", ("torch", "ncnn", "openvino")),
        ({"pnnx"}, "fp32", ("torch", "openvino")),
        (set(), "bf16", ("torch",)),
        (set(), "int8", ("openvino",)),
    ],
)
def test_the_engines_among_which_auto_chooses(
    missing: set[str], precision: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: None if name in missing else object())
    assert choice.racers(CPU, precision) == expected
