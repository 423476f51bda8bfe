"""Prepare stages: convert them for another engine, add half-precision weights, or compile them.

A wrapped stage has the same contract as the stage, so that the code that runs a chain need not know of it. A network
that an engine cannot convert, or whose result then differs from torch's, stays in torch, with a warning.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import torch

from pipeline.backends.choice import COMPILE, racers
from pipeline.backends.wrapper import NamedStage, StageWrapper
from pipeline.device.computing import half_dtype
from pipeline.errors import ConfigError, ConversionError
from stages.stage import Stage

# OpenVINO and NNCF send usage statistics over the network; without this package they do not.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def prepare(
    stages: Sequence[NamedStage], backend: str, precision: str, compile: str, device: torch.device
) -> list[Stage]:
    """Return what runs each stage: itself, or a wrapper around it.

    Args:
        stages: On the device; not changed.
        backend: From ``choose_backend``; ``auto`` for the fastest ones, by a race.
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
    if backend == "auto":
        return _by_race(stages, racers(device, precision))
    if backend == "ncnn":
        from pipeline.backends import ncnn

        return ncnn.convert(stages)
    if backend == "openvino":
        from pipeline.backends import openvino

        return openvino.convert(stages, int8=precision == "int8")
    return _in_torch([named.stage for named in stages], half_dtype(precision, device), compile, device)


def _by_race(stages: Sequence[NamedStage], backends: Sequence[str]) -> list[Stage]:
    """Return what runs each stage in fp32 on this CPU in the least time."""
    networks = [named for named in stages if named.is_network]
    if not networks:
        return [named.stage for named in stages]
    from pipeline.backends.race import assign

    races = {named.name: race_engines(named, backends) for named in networks}
    engines = dict(zip(races, assign(list(races.values())), strict=True))
    return [
        _first_ready(named, (engines[named.name], *races[named.name])) if named.name in races else named.stage
        for named in stages
    ]


def _first_ready(named: NamedStage, backends: Iterable[str]) -> Stage:
    for engine in backends:
        with suppress(ConversionError):  # its cached model may have been damaged since
            return _ENGINES[engine](named)
    return named.stage


def race_engines(named: NamedStage, backends: Sequence[str], *, again: bool = False) -> dict[str, float]:
    """Return how many milliseconds a megapixel each back end that can run a network takes, as of `race.race`."""
    from pipeline.backends.race import race, user_results

    return race(named, {backend: _ENGINES[backend] for backend in backends}, user_results(), again=again)


def _by_ncnn(named: NamedStage) -> Stage:
    from pipeline.backends import ncnn

    return ncnn.converted(named)


def _by_openvino(named: NamedStage) -> Stage:
    from pipeline.backends import openvino

    return openvino.converted(named)


# What may run a network in fp32 on a CPU.
_ENGINES: dict[str, Callable[[NamedStage], Stage]] = {
    "torch": lambda named: named.stage,
    "ncnn": _by_ncnn,
    "openvino": _by_openvino,
}


def _in_torch(stages: Sequence[Stage], half: torch.dtype | None, compile: str, device: torch.device) -> list[Stage]:
    """Add half-precision weights, and compile, what takes single images; motion is found outside of torch."""
    if half is not None:
        from pipeline.backends.half import with_half_weights

        stages = [stage if stage.radius else with_half_weights(stage, half) for stage in stages]
    if compile != "off" and device.type == "cuda":
        from pipeline.backends.compiled import FREQUENT, CompiledStage

        enough = FREQUENT if compile == "auto" else 0
        stages = [stage if stage.radius else CompiledStage(stage, enough) for stage in stages]
    return list(stages)


def label_of(stage: Stage) -> str:
    """Return what runs a stage, such as ``torch`` or ``openvino int8``."""
    return stage.label if isinstance(stage, StageWrapper) else "torch"
