"""Measure the condition of an image or a frame, wherever its pixels are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pipeline.condition.condition import Condition, measure_crops, sample
from pipeline.engine.canvas import Canvas, FrameCanvas, PixelCanvas
from pipeline.engine.tensors import checked
from pipeline.pixels import Pixels


def measure_image(pixels: Pixels, luma_table: Sequence[int] = ()) -> Condition:
    """Measure an image.

    Args:
        pixels: RGB ``(H, W, 3)`` or gray ``(H, W)``, as of ``Engine.run``.
        luma_table: Of a JPEG file: the 64 steps by which its luma was quantised.

    Raises:
        TypeError: as ``Engine.run``.
        ValueError: likewise.
    """
    return _measure(PixelCanvas(checked(pixels), {}, torch.device("cpu")), luma_table)


def measure_frame(frame: Tensor) -> Condition:
    """Measure a frame on any device, ``(1, 3, H, W)`` in ``[0, 1]``."""
    return _measure(FrameCanvas(frame, {}), ())


def _measure(canvas: Canvas[Any], luma_table: Sequence[int]) -> Condition:
    _, height, width = canvas.shape
    crops = torch.cat([canvas.cut(region, slice(1)) for region in sample(height, width)])
    levels = crops.mul(255).permute(0, 2, 3, 1).contiguous()
    return measure_crops(levels.cpu().numpy(), luma_table)
