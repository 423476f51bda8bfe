"""The precision that a run computes in: mixed wherever the device is faster with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    import torch

# Lightning's names.
_LIGHTNING_NAMES = {"fp32": "32-true", "fp16": "16-mixed", "bf16": "bf16-mixed"}
PRECISIONS = ("auto", *_LIGHTNING_NAMES)


def lightning_precision(name: str, device: str) -> str:
    """Return Lightning's name of a precision; ``auto`` is bf16 where the device computes in bf16, else fp32.

    CUDA devices without bf16 take fp16. Of processors, some train twice as fast in bf16, some slower: that is measured.

    Args:
        name: One of ``PRECISIONS``.
        device: As of `pipeline.device.find.find_device`.

    Raises:
        ConfigError: for an unknown name, and for fp16 without a GPU.
    """
    if name not in PRECISIONS:
        raise ConfigError(f"precision: got {name!r}, expected one of {', '.join(PRECISIONS)}")

    from pipeline.device.find import find_device

    kind = find_device(device).type
    if name == "fp16" and kind == "cpu":
        raise ConfigError("precision: got fp16, which needs a GPU; expected bf16, fp32 or auto on a CPU")
    return _LIGHTNING_NAMES[_fastest(kind) if name == "auto" else name]


def _fastest(kind: str) -> str:
    import torch

    from pipeline.device.computing import cpu_is_faster_in_bf16

    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if kind == "cpu" and cpu_is_faster_in_bf16() else "fp32"


@contextmanager
def tf32_allowed(device: torch.device) -> Iterator[None]:
    """Let CUDA's convolutions and matrix products of float32 round to TF32 for a while; other devices have none."""
    import torch

    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
