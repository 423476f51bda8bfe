"""Draw heat maps: over an image, as a contact sheet of many, and of a receptive field with its squares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.pixels import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = "inferno"
_BRIGHTEST = 0.995  # quantile: a few outliers would darken everything else
_CELL_WIDTH, _TALLEST_CELL, _CAPTION = 4.2, 6.0, 0.35  # inches
_DPI = 100
_FAINTEST = 1e-5


def overlay(image: Pixels, heat: Pixels) -> Pixels:
    """Lay heat over an image that is gray and dimmed, the brighter the hotter; RGB bytes of the image's size.

    Args:
        image: ``(H, W, 3)`` in ``[0, 1]``.
        heat: ``(H, W)``, not negative. Shown by its square root; the hottest 5 in 1000 places look alike.
    """
    from matplotlib import colormaps

    hottest = np.quantile(heat, _BRIGHTEST) or heat.max() or 1.0
    level = np.sqrt((heat / hottest).clip(0, 1))
    opacity = level[..., None]
    gray = image.mean(axis=2, keepdims=True) * 0.6
    return to_bytes(gray * (1 - opacity) + colormaps[_COLOURS](level)[..., :3] * opacity)


def contact_sheet(title: str, cells: Sequence[tuple[str, Pixels]]) -> Figure:
    """Lay out RGB images of one size in rows of four, all scaled to the same size, each with its caption.

    Args:
        title: Of the sheet.
        cells: Captions and images, ``(H, W, 3)`` bytes.
    """
    from matplotlib.figure import Figure

    columns = min(4, len(cells))
    rows = math.ceil(len(cells) / columns)
    height, width = cells[0][1].shape[:2]
    cell_height = min(_CELL_WIDTH * height / width, _TALLEST_CELL) + _CAPTION
    size = columns * _CELL_WIDTH, rows * cell_height + _CAPTION
    figure = Figure(size, dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in places:
        axes.set_axis_off()
    for axes, (caption, image) in zip(places, cells, strict=False):
        axes.imshow(image, interpolation="nearest" if image.shape[1] < _CELL_WIDTH * _DPI else "antialiased")
        axes.set_title(caption, fontsize=9, parse_math=False)
    return figure


def receptive_field_plot(title: str, field: Pixels, *, halo: int | None, effective: int) -> Figure:
    """Plot a receptive field on a logarithmic scale, with the squares of its halo and of its effective radius.

    Args:
        title: Of the plot.
        field: Square, not negative, the output pixel in the middle.
        halo: Radius in pixels of what is seen in theory; None for the whole image, which has no square.
        effective: Radius in pixels that holds most of it.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    figure = Figure((7, 6), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    reach = len(field) / 2
    relative = np.maximum(field / (field.max() or 1.0), _FAINTEST)
    shown = axes.imshow(
        relative, _COLOURS, LogNorm(_FAINTEST, 1), interpolation="nearest", extent=(-reach, reach, reach, -reach)
    )
    figure.colorbar(shown, label="gradient, relative to its maximum")
    _add_square(axes, effective, "cyan", "effective radius")
    if halo is not None:
        _add_square(axes, halo, "white", "halo")
    axes.set_title(title, fontsize=9, parse_math=False)
    axes.set_xlabel("pixels from the output pixel")
    figure.legend(loc="outside lower right", ncols=2, facecolor="dimgray", labelcolor="white", fontsize=8)
    return figure


def rendered(figure: Figure) -> Pixels:
    """Render a figure as ``(H, W, 3)`` RGB bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def to_bytes(values: Pixels) -> Pixels:
    """Convert ``[0, 1]`` to 8 bits."""
    return (values.clip(0, 1) * 255).round().astype(np.uint8)


def _add_square(axes: Axes, radius: int, colour: str, label: str) -> None:
    from matplotlib.patches import Rectangle

    side = 2 * radius + 1
    axes.add_patch(Rectangle((-side / 2, -side / 2), side, side, fill=False, edgecolor=colour, label=label))
