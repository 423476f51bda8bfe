"""The table of optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import nn

from pipeline.device.computing import cpu_is_faster_in_bf16

Parameters = Iterable[nn.Parameter]


def build_adam(parameters: Parameters, learning_rate: float, weight_decay: float, device: str) -> torch.optim.Optimizer:
    """Build Adam: Kingma and Ba, ICLR 2015, https://arxiv.org/abs/1412.6980; ``weight_decay`` is an L2 penalty."""
    return torch.optim.Adam(parameters, lr=learning_rate, weight_decay=weight_decay)


def build_muon(parameters: Parameters, learning_rate: float, weight_decay: float, device: str) -> torch.optim.Optimizer:
    """Build Muon: Jordan et al., 2024, https://kellerjordan.github.io/posts/muon.

    Convolutions are flattened to one row a filter; biases are left to AdamW. timm orthogonalises in bfloat16 and has
    no option for it. A processor without bf16 units emulates that: of a U-Net's training step the optimizer then
    takes two thirds, in float32 a tenth. So the function that timm calls is given the precision, for the process.

    Args:
        parameters: What is optimised.
        learning_rate: Step size.
        weight_decay: Decoupled: each step scales the weights by 1 - learning rate * this.
        device: Type of the device that the parameters are trained on, such as ``cpu``.
    """
    from timm.optim import muon

    from stages import torchvision_guard as _torchvision_guard  # noqa: F401  (timm imports torchvision)

    original = getattr(muon.zeropower_via_newtonschulz, "func", muon.zeropower_via_newtonschulz)
    muon.zeropower_via_newtonschulz = partial(original, dtype=orthogonalisation_dtype(device))
    optimizer: torch.optim.Optimizer = muon.Muon(parameters, lr=learning_rate, weight_decay=weight_decay)
    return optimizer


def orthogonalisation_dtype(device: str) -> torch.dtype:
    """Return float32 for processors that are slower in bf16, bfloat16 for everything else."""
    return torch.float32 if device == "cpu" and not cpu_is_faster_in_bf16() else torch.bfloat16


OPTIMIZERS: dict[str, Callable[[Parameters, float, float, str], torch.optim.Optimizer]] = {
    "adam": build_adam,
    "muon": build_muon,
}
