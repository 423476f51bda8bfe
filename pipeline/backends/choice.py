"""Choose the back end that runs the networks: torch, ncnn or OpenVINO; imports nothing heavy."""

from __future__ import annotations

import platform
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import ConfigError
from stages.extras import install_hint

if TYPE_CHECKING:
    import torch

COMPILE = ("auto", "on", "off")


class _Requirements(NamedTuple):
    """Packages that an engine needs, and precisions that it supports."""

    packages: tuple[str, ...]
    precisions: tuple[str, ...]


# The fastest first, as benchmarks/chain_speed.py finds them on an AMD EPYC; on an Intel Xeon it is the other way round.
_ENGINES = {
    "ncnn": _Requirements(("ncnn", "pnnx", "platformdirs"), ("auto", "fp32")),
    "openvino": _Requirements(("openvino", "nncf", "platformdirs"), ("auto", "fp32", "int8")),
}
BACKENDS = ("auto", "torch", *_ENGINES)


def choose_backend(name: str, device: torch.device, precision: str) -> str:
    """Return ``torch``, ``ncnn`` or ``openvino``.

    ``auto`` is, on a CPU, the fastest engine that is installed and computes in the precision: in fp32 ncnn, or OpenVINO
    on a processor of Intel's; in int8 OpenVINO; else torch. No rule by network is needed: on one thread of an AMD EPYC
    EDSRs of 20 to 128 channels took ncnn 0.42 to 0.71 of torch's time, of 8 to 16 channels 0.71 to 0.93; OpenVINO's
    share was 0.83 to 0.97, and 0.64 to 0.76. On an Intel Xeon ncnn took 1.2 to 2 times as long as OpenVINO.

    Raises:
        ConfigError: for an unknown name, or where the backend does not support the device or precision.
    """
    if name not in BACKENDS:
        raise ConfigError(f"backend: got {name!r}, expected one of {', '.join(BACKENDS)}")
    why_not = obstacles(device, precision)
    if name == "auto":
        fastest_first = reversed(why_not) if made_by_intel() else iter(why_not)
        name = next((engine for engine in fastest_first if not why_not[engine]), "torch")
    if why_not.get(name):
        raise ConfigError(f"backend: {name} cannot be used, {why_not[name]}")
    if name == "torch" and precision == "int8":
        hint = why_not["openvino"] or "torch does not compute in it, expected backend openvino"
        raise ConfigError(f"precision: int8 cannot be used, {hint}")
    return name


def made_by_intel() -> bool:
    """Return whether this computer's processor is made by Intel; on a Mac always False."""
    cpuinfo = Path("/proc/cpuinfo")
    vendor = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else platform.processor()
    return "GenuineIntel" in vendor


def why_fastest() -> str:
    """Return the reason for what ``auto`` chooses on a CPU, for users."""
    maker = "an Intel processor" if made_by_intel() else "a processor not made by Intel"
    return f"the fastest installed engine, as measured on {maker}"


def obstacles(device: torch.device, precision: str) -> dict[str, str]:
    """Return for each engine why it cannot be used here; an empty text if it can."""
    return {engine: _obstacle(engine, device, precision) for engine in _ENGINES}


def _obstacle(name: str, device: torch.device, precision: str) -> str:
    """Return why an engine cannot be used here; empty if it can."""
    packages, precisions = _ENGINES[name]
    if device.type != "cpu":
        return f"it runs on the CPU only, and the device is {device}; choose device cpu"
    if precision not in precisions:
        return f"it computes in {' or '.join(precisions[1:])}, got precision {precision}"
    if not all(map(find_spec, packages)):
        return f"it is not installed; {install_hint('cpu')}"
    return ""
