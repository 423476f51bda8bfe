"""What a stage costs, counted from its architecture without computing anything."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from stages.stage import Stage, StageConfig


def count_parameters(stage: Stage) -> int:
    """Count trainable numbers."""
    return sum(parameter.numel() for parameter in stage.parameters())


def count_macs(config: StageConfig, height: int, width: int) -> int:
    """Count multiply-accumulates of convolutions and matrix products for one image.

    Sizes are rounded up to what the stage divides by. Runs on the meta device: no memory, no time.
    """
    with torch.device("meta"):
        stage = config.build().eval()
        image = torch.empty(1, 3, _round_up(height, stage.multiple_of), _round_up(width, stage.multiple_of))
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        stage(image)
    return counter.get_total_flops() // 2


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
