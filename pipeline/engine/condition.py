"""Measure the condition of what a canvas holds, wherever its pixels are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pipeline.condition.condition import Condition, measure_crops, sample
from pipeline.engine.canvas import Canvas, PixelCanvas
from pipeline.engine.tensors import checked
from pipeline.pixels import Pixels


def measure_canvas(canvas: Canvas[Any], luma_table: Sequence[int] = ()) -> Condition:
    """Measure the first frame of a canvas; the result depends on nothing but its pixels and the file's table."""
    _, height, width = canvas.shape
    crops = torch.cat([canvas.cut(region, slice(1)) for region in sample(height, width)])
    levels = crops.mul(255).permute(0, 2, 3, 1).contiguous()
    return measure_crops(levels.cpu().numpy(), luma_table)


def measure_image(pixels: Pixels, luma_table: Sequence[int] = ()) -> Condition:
    """Measure an image, as of ``Engine.run``, on the CPU.

    Args:
        pixels: RGB ``(H, W, 3)`` or gray ``(H, W)``.
        luma_table: Of a JPEG file: the 64 steps by which its luma was quantised.

    Raises:
        TypeError: as ``Engine.run``.
        ValueError: likewise.
    """
    return measure_canvas(PixelCanvas(checked(pixels), {}, torch.device("cpu")), luma_table)
