"""What runs a stage: torch, or an engine that the stage is converted for.

An engine turns a chain's networks into stages with the same contract, so that the code that runs a chain need not
know of it. A network that an engine cannot convert, or whose result then differs from torch's, stays in torch, and
a warning says so.
"""

from __future__ import annotations

import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from pipeline.backends.wrapper import StageWrapper
from pipeline.device.precision import half_dtype
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.chain.chain import Chain

COMPILE = ("auto", "on", "off")


class _Engine(NamedTuple):
    """What an engine needs and can."""

    packages: tuple[str, ...]
    precisions: tuple[str, ...]


# The fastest first, as benchmarks/chain_speed.py finds them on an AMD EPYC; on an Intel Xeon it is the other way round.
_ENGINES = {
    "ncnn": _Engine(("ncnn", "pnnx", "platformdirs"), ("auto", "fp32")),
    "openvino": _Engine(("openvino", "nncf", "platformdirs"), ("auto", "fp32", "int8")),
}
BACKENDS = ("auto", "torch", *_ENGINES)

# OpenVINO and NNCF would report over the network that they are used; without this package they do not.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def choose_backend(name: str, device: torch.device, precision: str) -> str:
    """Return ``torch``, ``ncnn`` or ``openvino``.

    ``auto`` is, on a CPU, the fastest engine that is installed and computes in the precision: in fp32 ncnn, or OpenVINO
    on a processor of Intel's; in int8 OpenVINO; else torch. No rule by network is needed: on one thread of an AMD EPYC
    EDSRs of 20 to 128 channels took ncnn 0.42 to 0.71 of torch's time, of 8 to 16 channels 0.71 to 0.93; OpenVINO's
    share was 0.83 to 0.97, and 0.64 to 0.76. On an Intel Xeon ncnn took 1.2 to 2 times as long as OpenVINO.

    Raises:
        ConfigError: for a name that there is not, or where the backend, device and precision do not go together.
    """
    if name not in BACKENDS:
        raise ConfigError(f"--backend: got {name!r}, expected one of {', '.join(BACKENDS)}")
    obstacles = {engine: _obstacle(engine, device, precision) for engine in _ENGINES}
    if name == "auto":
        fastest_first = reversed(obstacles) if made_by_intel() else iter(obstacles)
        name = next((engine for engine in fastest_first if not obstacles[engine]), "torch")
    if obstacles.get(name):
        raise ConfigError(f"--backend {name}: {obstacles[name]}")
    if name == "torch" and precision == "int8":
        hint = obstacles["openvino"] or "torch does not compute in it, --backend openvino does"
        raise ConfigError(f"--precision int8: {hint}")
    return name


def made_by_intel() -> bool:
    """Tell whether this computer's processor is one of Intel's; a Mac's is taken for another."""
    cpuinfo = Path("/proc/cpuinfo")
    told = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else platform.processor()
    return "GenuineIntel" in told


def prepare(chain: Chain, backend: str, precision: str, device: torch.device) -> Chain:
    """Return the chain with the stages that the backend runs in place of torch's.

    Args:
        chain: Its stages are not changed.
        backend: From ``choose_backend``.
        precision: For other backends than torch, ``int8`` for 8-bit integers in the stages that they serve well;
            anything else is fp32.
        device: Where the stages are.
    """
    if backend == "ncnn":
        from pipeline.backends import ncnn

        return chain.with_stages(ncnn.convert(chain))
    if backend == "openvino":
        from pipeline.backends import openvino

        return chain.with_stages(openvino.convert(chain, int8=precision == "int8"))
    dtype = half_dtype(precision, device)
    if dtype is None:
        return chain
    from pipeline.backends.half import with_half_weights

    return chain.with_stages([with_half_weights(stage, dtype) for stage in chain.stages])


def prepare_compiling(chain: Chain, compile: str, device: torch.device) -> Chain:
    """Return the chain with stages that torch compiles for shapes that come often (``on``: at once); GPUs only.

    Raises:
        ConfigError: for a word that there is not, or for ``on`` where the device is the CPU.
    """
    if compile not in COMPILE:
        raise ConfigError(f"--compile: got {compile!r}, expected one of {', '.join(COMPILE)}")
    if compile == "on" and device.type != "cuda":
        raise ConfigError(f"--compile on: gains nothing on {device}, expected a CUDA device")
    if compile == "off" or device.type != "cuda":
        return chain
    from pipeline.backends.compiled import FREQUENT, compiled

    return chain.with_stages([compiled(stage, FREQUENT if compile == "auto" else 0) for stage in chain.stages])


def forget_compiled(chain: Chain, device: torch.device) -> None:
    """Free the memory of compiled stages; they are compiled again when they are needed."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # a graph must not go while it runs
    for stage in chain.stages:
        if isinstance(stage, StageWrapper):
            stage.forget()


def names_of_backends(chain: Chain) -> dict[str, str]:
    """Return what runs each stage, by the stage's name."""
    return {
        name: stage.label if isinstance(stage, StageWrapper) else "torch"
        for name, stage in zip(chain.names, chain.stages, strict=True)
    }


def _obstacle(name: str, device: torch.device, precision: str) -> str:
    """Return why an engine cannot be used here; empty if it can."""
    packages, precisions = _ENGINES[name]
    if device.type != "cpu":
        return f"it runs on the CPU only, and the device is {device}; add --device cpu"
    if precision not in precisions:
        return f"it computes in {' or '.join(precisions[1:])}, got --precision {precision}"
    if not all(map(find_spec, packages)):
        return 'it is not installed; pip install "restorechain[cpu]"'
    return ""
