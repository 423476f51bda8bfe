"""Read BMP files of 16 and 32 bits a pixel, whose masks OpenCV ignores or takes for others."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from pipeline.errors import BrokenImage
from pipeline.pixels import Pixels, white

_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_BITFIELDS, _WITH_ALPHA = 3, 6
_RESOLUTION_AT, _MASKS_AT, _HEADER_WITH_ALPHA = 38, 54, 56


def read_masked_bmp(path: Path) -> Pixels | None:
    """Return ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA in 8 or 16 bits; None for files of other kinds, or cut off.

    Alpha that is 0 everywhere was never written, so that the image is opaque.

    Raises:
        BrokenImage: if its masks have bits that its pixels lack, or more than 16.
    """
    with path.open("rb") as file:
        head = file.read(_MASKS_AT + 16)
        if len(head) < _MASKS_AT or head[14] < 40:
            return None
        start, size, width, height, _, bits, coding = struct.unpack_from("<4xIIiiHHI", head, 6)
        if bits not in _MASKS or coding not in (0, _BITFIELDS, _WITH_ALPHA):
            return None
        row = (width * bits + 31) // 32 * 4
        file.seek(start)
        content = np.fromfile(file, np.uint8, row * abs(height))
    masks = _MASKS[bits]
    if coding and len(head) == _MASKS_AT + 16:
        masks = struct.unpack_from("<4I", head, _MASKS_AT)
        if size < _HEADER_WITH_ALPHA and coding == _BITFIELDS:
            masks = (*masks[:3], 0)
    if len(content) < row * abs(height) or not all(masks[:3]):
        return None
    if any(mask >= 2**bits or _spans_more_than_16_bits(mask) for mask in masks):
        raise BrokenImage("has a damaged BMP header: its colour masks do not fit its pixels")
    packed = content.reshape(abs(height), row).view(f"<u{bits // 8}")[:, :width]
    return _channels(packed[::-1] if height > 0 else packed, masks)


def _spans_more_than_16_bits(mask: int) -> bool:
    return mask // max(1, mask & -mask) > white(np.dtype(np.uint16))


def resolution_of_bmp(head: bytes) -> tuple[float, float] | None:
    """Return the pixels per millimetre, horizontal and vertical, by the first bytes of a file; None if it has none."""
    if len(head) < _RESOLUTION_AT + 8 or head[14] < 40:
        return None
    across, down = struct.unpack_from("<ii", head, _RESOLUTION_AT)
    return (across / 1000, down / 1000) if across > 0 and down > 0 else None


def _channels(packed: Pixels, masks: tuple[int, ...]) -> Pixels:
    """Return each mask's bits, stretched to 8 or 16."""
    depth = np.dtype(np.uint16 if any(mask.bit_count() > 8 for mask in masks) else np.uint8)
    channels = [_stretched(packed, mask, depth) for mask in masks if mask]
    if len(channels) == 4 and not channels[3].any():
        del channels[3]
    return np.stack(channels, axis=-1)


def _stretched(packed: Pixels, mask: int, depth: np.dtype[np.generic]) -> Pixels:
    lowest = (mask & -mask).bit_length() - 1
    highest = mask >> lowest
    values = (packed >> packed.dtype.type(lowest)) & packed.dtype.type(highest)
    if highest == white(depth):
        return values.astype(depth)
    return np.rint(np.arange(highest + 1) * (white(depth) / highest)).astype(depth)[values]
