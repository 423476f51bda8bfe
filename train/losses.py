"""The table of losses: restored and clean images, ``(B, 3, H, W)``, to one number."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def charbonnier(restored: Tensor, clean: Tensor) -> Tensor:
    """Differentiable L1 (Lai et al., CVPR 2017), rounded off below half an 8-bit level."""
    return ((restored - clean) ** 2 + 0.002**2).sqrt().mean()


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean over images of log(MSE), the negative PSNR up to a factor (Chen et al., NAFNet, ECCV 2022).

    The floor of 3e-4 (35 dB) keeps nearly perfect crops from taking all of the gradient.
    """
    return torch.log(((restored - clean) ** 2).mean(dim=(1, 2, 3)) + 3e-4).mean()


LOSSES: dict[str, Loss] = {
    "charbonnier": charbonnier,
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "psnr": psnr,
}
