"""Which precision a run learns in: mixed wherever the device is faster for it."""

from __future__ import annotations

import torch

from pipeline.device.computing import cpu_computes_in_bf16
from pipeline.device.find import find_device
from pipeline.errors import ConfigError

PRECISIONS = ("auto", "32", "16-mixed", "bf16-mixed")


def choose_precision(name: str, device: str) -> str:
    """Return Lightning's name of a precision; ``auto`` is bf16-mixed where the device computes in bf16, else fp32.

    CUDA devices without bf16 take 16-mixed. A processor with AVX-512 BF16 or AMX learns about twice as fast so.

    Args:
        name: One of ``PRECISIONS``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        ConfigError: for 16-mixed without a GPU.
    """
    if name == "16-mixed" and find_device(device).type == "cpu":
        raise ConfigError("--precision: got 16-mixed, which needs a GPU; expected bf16-mixed, 32 or auto on a CPU")
    if name != "auto":
        return name
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if device == "mps" or (device == "auto" and torch.backends.mps.is_available()):
        return "32"
    return "bf16-mixed" if cpu_computes_in_bf16() else "32"
