"""What protocols compare: a stage, a chain, and doing nothing but upscale, each as a function of one image."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.chain.chain import Chain
from pipeline.engine.engine import Engine
from stages.layers import bicubic_upscale
from stages.stage import Stage
from train.data.images import to_tensor
from train.degradation import functions

Restore = Callable[[Tensor], Tensor]


def restorer(stage: Stage) -> Restore:
    """Run one stage on an image of any size, in float32."""

    def restore(image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        fill = (0, -width % stage.multiple_of, 0, -height % stage.multiple_of)
        with torch.inference_mode():
            result = stage(F.pad(image, fill, mode="replicate"))
        return result[..., : height * stage.scale, : width * stage.scale]

    return restore


def chain_restorer(loaded: Chain) -> Restore:
    """Run a chain on 8-bit pixels, in torch."""
    engine = Engine(loaded)

    def restore(image: Tensor) -> Tensor:
        pixels = image[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
        return to_tensor(engine.run(pixels).pixels)

    return restore


def bicubic_upscaler(scale: int) -> Restore:
    """Upscale by bicubic interpolation, the baseline."""
    return lambda image: functions.quantise(bicubic_upscale(image, scale))
