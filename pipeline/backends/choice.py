"""Choose the back end that runs the networks: torch, ncnn or OpenVINO; imports nothing heavy."""

from __future__ import annotations

from importlib.util import find_spec
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


_ENGINES = {
    "ncnn": _Requirements(("ncnn", "pnnx", "platformdirs"), ("auto", "fp32")),
    "openvino": _Requirements(("openvino", "nncf", "platformdirs"), ("auto", "fp32", "int8")),
}
BACKENDS = ("auto", "torch", *_ENGINES)


def choose_backend(name: str, device: torch.device, precision: str) -> str:
    """Return ``torch``, ``ncnn``, ``openvino``, or ``auto`` where each network goes to the fastest of several.

    Raises:
        ConfigError: for an unknown name, or where the backend does not support the device or precision.
    """
    if name not in BACKENDS:
        raise ConfigError(f"backend: got {name!r}, expected one of {', '.join(BACKENDS)}")
    why_not = obstacles(device, precision)
    if name == "auto":
        name = _automatic(racers(device, precision), precision)
    if why_not.get(name):
        raise ConfigError(f"backend: {name} cannot be used, {why_not[name]}")
    if name == "torch" and precision == "int8":
        hint = why_not["openvino"] or "torch does not compute in it, expected backend openvino"
        raise ConfigError(f"precision: int8 cannot be used, {hint}")
    return name


def racers(device: torch.device, precision: str) -> tuple[str, ...]:
    """Return the backends among which ``auto`` chooses for each network."""
    engines = [engine for engine, obstacle in obstacles(device, precision).items() if not obstacle]
    return tuple(engines) if precision == "int8" else ("torch", *engines)


def _automatic(racing: tuple[str, ...], precision: str) -> str:
    if len(racing) > 1:
        return "auto"
    return racing[0] if racing else "torch"


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
