"""Heat as pictures: over an image, many on one sheet, and a receptive field with its squares. All RGB bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.pixels import Pixels
from stages.lettering import write_text

_COLOURS = cv2.COLORMAP_INFERNO
_BRIGHTEST = 0.995  # quantile: a few outliers would darken everything else
_CELL_WIDTH, _CAPTION, _GAP, _TITLE = 400, 24, 10, 34
_FIELD_SIDE, _BAR, _DECADES = 520, 24, 5
_CYAN, _WHITE = (0, 230, 230), (255, 255, 255)


def overlay(image: Pixels, heat: Pixels) -> Pixels:
    """Lay heat over an image that is grey and dimmed, the brighter the hotter.

    Args:
        image: ``(H, W, 3)`` in ``[0, 1]``.
        heat: ``(H, W)``, not negative. Shown by its square root; the hottest 5 in 1000 places look alike.
    """
    hottest = np.quantile(heat, _BRIGHTEST) or heat.max() or 1.0
    level = np.sqrt((heat / hottest).clip(0, 1))
    opacity = level[..., None]
    grey = image.mean(axis=2, keepdims=True) * 0.6
    return to_bytes(grey * (1 - opacity) + _coloured(level) / 255 * opacity)


def contact_sheet(title: str, cells: Sequence[tuple[str, Pixels]]) -> Pixels:
    """Lay out pictures of one size in rows, all scaled to the same width, each with its caption below."""
    columns = min(4, len(cells))
    height, width = cells[0][1].shape[:2]
    size = _CELL_WIDTH, max(1, round(_CELL_WIDTH * height / width))
    step_x, step_y = size[0] + _GAP, size[1] + _CAPTION
    rows = math.ceil(len(cells) / columns)
    sheet = np.full((_TITLE + rows * step_y + _GAP, columns * step_x + _GAP, 3), 255, np.uint8)
    write_text(sheet, title, (_GAP, 22), size=0.5)
    for index, (caption, picture) in enumerate(cells):
        x, y = _GAP + index % columns * step_x, _TITLE + index // columns * step_y
        enlarges = size[0] > width
        shown = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST if enlarges else cv2.INTER_AREA)
        sheet[y : y + size[1], x : x + size[0]] = shown
        write_text(sheet, caption, (x, y + size[1] + 16))
    return sheet


def field_picture(title: str, field: Pixels, *, halo: int | None, effective: int) -> Pixels:
    """Draw a receptive field on a logarithmic scale, with the squares of its halo and of its effective radius.

    Args:
        title: Stands above.
        field: Square, not negative, the output pixel in the middle.
        halo: Radius in pixels of what is seen in theory; None for the whole image, which has no square.
        effective: Radius in pixels that holds most of it.
    """
    factor = max(1, _FIELD_SIDE // len(field))
    with np.errstate(divide="ignore"):
        decades = np.log10(field / (field.max() or 1.0))
    shown = _coloured((decades / _DECADES + 1).clip(0, 1))
    shown = shown.repeat(factor, axis=0).repeat(factor, axis=1)
    _draw_square(shown, effective, factor, _CYAN)
    if halo is not None:
        _draw_square(shown, halo, factor, _WHITE)
    side = len(shown)
    picture = np.full((_TITLE + side + _GAP, side + _BAR + 110, 3), 255, np.uint8)
    write_text(picture, title, (_GAP, 22), size=0.42)
    picture[_TITLE : _TITLE + side, _GAP : _GAP + side] = shown
    _draw_scale(picture[_TITLE : _TITLE + side, 2 * _GAP + side :])
    return picture


def _draw_square(shown: Pixels, radius: int, factor: int, colour: tuple[int, int, int]) -> None:
    middle = len(shown) // factor // 2
    first, last = (middle - radius) * factor, (middle + radius + 1) * factor - 1
    cv2.rectangle(shown, (first, first), (last, last), colour, 1)


def _draw_scale(place: Pixels) -> None:
    side = len(place)
    place[:, :_BAR] = _coloured(np.linspace(1, 0, side)[:, None].repeat(_BAR, axis=1))
    for decade in range(_DECADES + 1):
        y = round(decade / _DECADES * (side - 1))
        write_text(place, "1" if decade == 0 else f"1e-{decade}", (_BAR + 6, min(max(y + 4, 10), side - 2)))


def _coloured(level: Pixels) -> Pixels:
    """Colour ``(H, W)`` in ``[0, 1]`` as RGB bytes."""
    return cv2.cvtColor(cv2.applyColorMap(to_bytes(level), _COLOURS), cv2.COLOR_BGR2RGB)


def to_bytes(values: Pixels) -> Pixels:
    """Turn ``[0, 1]`` into bytes."""
    return (values.clip(0, 1) * 255).round().astype(np.uint8)
