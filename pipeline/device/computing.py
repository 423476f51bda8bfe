"""Choose a precision and set up torch to compute in it."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

_HALF_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}

# torch 2.9 and later ask for other names of cuDNN's flags, which torch 2.6 does not know; the compiler asks for TF32.
warnings.filterwarnings("ignore", "Please use the new API settings to control TF32")
warnings.filterwarnings("ignore", "TensorFloat32 tensor cores for float32 matrix multiplication available")


def choose_precision(name: str, device: torch.device, dtype: np.dtype[Any]) -> str:
    """Return the precision for pixels of a dtype; ``auto`` is fp16 on a GPU for 8-bit pixels, else fp32.

    Half precision holds 11 bits: enough for 8, but it would take their depth from 16-bit and float pixels.
    """
    if name != "auto":
        return name
    return "fp16" if device.type != "cpu" and dtype == np.uint8 else "fp32"


def half_dtype(name: str, device: torch.device) -> torch.dtype | None:
    """Return the half-precision dtype that a name of ``PRECISIONS`` allows on a device; None for full precision."""
    return _HALF_DTYPES.get(choose_precision(name, device, np.dtype(np.uint8)))


def cpu_computes_in_bf16() -> bool:
    """Return whether the processor has instructions for bf16 (AVX-512 BF16 or AMX)."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def processor_name() -> str:
    """Return the processor's name and the instructions that torch uses, such as ``AMD EPYC 9654, AVX512``.

    A virtual machine may hide some instructions of a processor, so that the name alone does not say what is fast.
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    units = ", bf16" if cpu_computes_in_bf16() else ""
    return f"{names[0] if names else platform.processor()}, {torch.backends.cpu.get_cpu_capability()}{units}"


@cache
def cpu_is_faster_in_bf16() -> bool:
    """Return whether the processor multiplies matrices faster in bf16 than in fp32, as measured in a few milliseconds.

    Instructions do not say: with AVX-512 BF16, training convolutions takes half as long as in fp32 on an AMD EPYC,
    but 1.6 times as long on an Intel Xeon whose AMX is switched off.
    """
    return cpu_computes_in_bf16() and _matmul_seconds(torch.bfloat16) < _matmul_seconds(torch.float32)


def _matmul_seconds(dtype: torch.dtype) -> float:
    matrix = torch.ones(96, 864, dtype=dtype)
    times = []
    for _ in range(9):
        started = perf_counter()
        for _ in range(4):
            matrix @ matrix.T
        times.append(perf_counter() - started)
    return min(times)


@contextmanager
def computing(device: torch.device, precision: str) -> Iterator[None]:
    """Compute on a device in a precision, without gradients.

    Half precision is torch's autocast, which leaves sums with the image in fp32; it need not cache weights, of which
    there are halved copies. fp32 means fp32: TF32, which torch otherwise lets cuDNN's convolutions use, has no more
    bits than fp16.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        if device.type == "cuda":
            stack.enter_context(torch.cuda.device(device))
            stack.enter_context(cudnn_flags(allow_tf32=precision != "fp32"))
        half = _HALF_DTYPES.get(precision)
        stack.enter_context(torch.autocast(device.type, half, half is not None, cache_enabled=False))
        yield


def cudnn_flags(**changed: bool) -> AbstractContextManager[None]:
    """Temporarily change some of cuDNN's flags; torch's own context resets those that it is not given."""
    names = ("enabled", "benchmark", "deterministic", "allow_tf32")
    return torch.backends.cudnn.flags(**{name: getattr(torch.backends.cudnn, name) for name in names} | changed)
