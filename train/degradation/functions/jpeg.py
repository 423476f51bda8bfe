"""JPEG compression and back, without a file: ITU-T T.81 with the tables of its Annex K, as libjpeg does it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.condition.jpeg import LUMA_TABLE
from train.degradation.functions.encoding import quantise

_CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def compress_jpeg(image: Tensor, quality: Tensor, *, half_chroma: bool = True) -> Tensor:
    """Compress to JPEG and decode again.

    The mean difference from libjpeg is a quarter of a gray level; a coefficient in the middle of two steps may fall to
    the other side, which moves its block by more.

    Args:
        image: RGB of any size, ``(B, 3, H, W)``; clipped and rounded to 8 bit first.
        quality: libjpeg's, 1 to 100; rounded to whole numbers.
        half_chroma: Keep colours at half the size (4:2:0), as cameras and the web do, instead of in full (4:4:4).
    """
    height, width = image.shape[-2:]
    block = 16 if half_chroma else 8
    levels = F.pad(quantise(image) * 255, (0, -width % block, 0, -height % block), mode="replicate")
    luma, chroma = _mix(levels, _TO_YCBCR).round().split([1, 2], dim=1)
    luma = _through_blocks(luma - 128, _steps(LUMA_TABLE, quality)) + 128
    if half_chroma:
        chroma = _halve(chroma)
    chroma = _through_blocks(chroma, _steps(_CHROMA_STEPS, quality))
    if half_chroma:
        chroma = _double(chroma[..., : math.ceil(height / 2), : math.ceil(width / 2)])
    planes = torch.cat([plane[..., :height, :width] for plane in (luma, chroma)], dim=1)
    return quantise(_mix(planes, _TO_RGB) / 255)


def _steps(table: tuple[tuple[int, ...], ...], quality: Tensor) -> Tensor:
    """Scale a quantisation table to the qualities: ``(B, 1, 1, 8, 1, 8)``."""
    whole = quality.round()
    percent = torch.where(whole < 50, (5000 / whole).floor(), 200 - 2 * whole)
    base = torch.tensor(table, device=quality.device, dtype=quality.dtype)
    return ((base * percent.view(-1, 1, 1) + 50) / 100).floor().clamp(1, 255).view(-1, 1, 1, 8, 1, 8)


def _through_blocks(planes: Tensor, steps: Tensor) -> Tensor:
    """Round the cosine coefficients of all 8 x 8 blocks to multiples of ``steps``."""
    cosines = _cosines().to(planes)
    batch, count, height, width = planes.shape
    blocks = planes.view(batch, count, height // 8, 8, width // 8, 8)
    coefficients = torch.einsum("ui,bcyixj,vj->bcyuxv", cosines, blocks, cosines)
    kept = (coefficients / steps).round() * steps
    restored = torch.einsum("ui,bcyuxv,vj->bcyixj", cosines, kept, cosines)
    return restored.reshape(planes.shape).round().clamp(-128, 127)


def _cosines() -> Tensor:
    """Return the orthonormal 8 x 8 matrix of the discrete cosine transform."""
    index = torch.arange(8, dtype=torch.float64)
    matrix = torch.cos((2 * index + 1) * index[:, None] * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


def _halve(chroma: Tensor) -> Tensor:
    """Reduce to half the size; ties are rounded down in even and up in odd columns, as libjpeg does."""
    halved = F.avg_pool2d(chroma, 2)
    halved[..., 0::2] += 0.25
    halved[..., 1::2] += 0.5
    return halved.floor()


def _double(chroma: Tensor) -> Tensor:
    """Upscale to twice the size, libjpeg's "fancy" way."""
    return F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False).round()


def _mix(planes: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", torch.tensor(matrix).to(planes), planes)
