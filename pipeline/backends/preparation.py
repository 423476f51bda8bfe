"""Prepare stages: convert them for another engine, add half-precision weights, or compile them.

A wrapped stage has the same contract as the stage, so that the code that runs a chain need not know of it. A network
that an engine cannot convert, or whose result then differs from torch's, stays in torch, with a warning.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import torch

from pipeline.backends.choice import COMPILE
from pipeline.backends.wrapper import NamedStage, StageWrapper
from pipeline.device.computing import half_dtype
from pipeline.errors import ConfigError
from stages.stage import Stage

# OpenVINO and NNCF send usage statistics over the network; without this package they do not.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def prepare(
    stages: Sequence[NamedStage], backend: str, precision: str, compile: str, device: torch.device
) -> list[Stage]:
    """Return what runs each stage: itself, or a wrapper around it.

    Args:
        stages: On the device; not changed.
        backend: From ``choose_backend``.
        precision: For other back ends than torch, ``int8`` for 8-bit integers in the stages that they serve well;
            anything else is fp32.
        compile: ``on`` or ``auto`` to compile for shapes that come often (``on``: at once), on GPUs; or ``off``.
        device: Where the stages are.

    Raises:
        ConfigError: for an unknown value of ``compile``, or for ``on`` where the device is no GPU.
    """
    if compile not in COMPILE:
        raise ConfigError(f"compile: got {compile!r}, expected one of {', '.join(COMPILE)}")
    if compile == "on" and device.type != "cuda":
        raise ConfigError(f"compile: on gains nothing on {device}, expected a CUDA device")
    if backend == "ncnn":
        from pipeline.backends import ncnn

        return ncnn.convert(stages)
    if backend == "openvino":
        from pipeline.backends import openvino

        return openvino.convert(stages, int8=precision == "int8")
    return _in_torch([named.stage for named in stages], half_dtype(precision, device), compile, device)


def _in_torch(stages: Sequence[Stage], half: torch.dtype | None, compile: str, device: torch.device) -> list[Stage]:
    if half is not None:
        from pipeline.backends.half import with_half_weights

        stages = [with_half_weights(stage, half) for stage in stages]
    if compile != "off" and device.type == "cuda":
        from pipeline.backends.compiled import FREQUENT, CompiledStage

        stages = [CompiledStage(stage, FREQUENT if compile == "auto" else 0) for stage in stages]
    return list(stages)


def forget_compiled(stages: Iterable[Stage], device: torch.device) -> None:
    """Free the memory of compiled stages; they are compiled again when needed."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # a graph must not go while it runs
    for stage in stages:
        if isinstance(stage, StageWrapper):
            stage.forget()


def label_of(stage: Stage) -> str:
    """Return what runs a stage, such as ``torch`` or ``openvino int8``."""
    return stage.label if isinstance(stage, StageWrapper) else "torch"
