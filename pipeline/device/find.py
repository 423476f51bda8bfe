"""Find devices by name."""

from __future__ import annotations

import torch

from pipeline.errors import ConfigError


def find_device(name: str) -> torch.device:
    """Return the device ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; ``auto`` is the fastest available one.

    Raises:
        ConfigError: for an unknown name or a device that this machine lacks.
    """
    there = device_names()
    if name == "auto":
        name = next((best for best in ("cuda:0", "mps") if best in there), "cpu")
    if name == "cuda":
        name = "cuda:0"
    if name not in there:
        here = ", ".join(there)
        raise ConfigError(f"device: got {name!r}, expected auto or what this machine has: {here}")
    return torch.device(name)


def device_names() -> list[str]:
    """Return the devices of this machine: ``cpu``, then every ``cuda:N``, then ``mps``."""
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]
