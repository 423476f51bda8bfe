"""The Muon optimizer, orthogonalising in the precision that the device is fast in."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from stages import torchvision_guard as _torchvision_guard  # noqa: F401  (before timm)

# isort: split

import torch
from timm.optim import muon
from torch import nn

from pipeline.device.precision import cpu_computes_in_bf16

_orthogonalise = muon.zeropower_via_newtonschulz


def build_muon(parameters: Iterable[nn.Parameter], rate: float, weight_decay: float, device: str) -> muon.Muon:
    """Build Muon: Jordan et al., 2024, https://kellerjordan.github.io/posts/muon.

    Convolutions are flattened to one row a filter; biases are left to AdamW. timm orthogonalises in bfloat16 and has
    no option for it. A processor without bf16 units emulates that: of a U-Net's training step the optimizer then
    takes two thirds, in float32 a tenth. So the function that timm calls is given the precision, for the process.

    Args:
        parameters: What is optimised.
        rate: Learning rate.
        weight_decay: Shrinkage of the weights by the rate times this, each step.
        device: Type of the device that the parameters are trained on, such as ``cpu``.
    """
    muon.zeropower_via_newtonschulz = partial(_orthogonalise, dtype=orthogonalisation_dtype(device))
    return muon.Muon(parameters, lr=rate, weight_decay=weight_decay)


def orthogonalisation_dtype(device: str) -> torch.dtype:
    """Return float32 for processors that emulate bf16, bfloat16 for everything else."""
    return torch.float32 if device == "cpu" and not cpu_computes_in_bf16() else torch.bfloat16
