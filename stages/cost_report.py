"""What layers cost as a table, and as a picture with a bar for each layer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.table import Table

from stages.lettering import write_text
from stages.profile import Cost, grouped, total

_BYTES = 4  # of a number in fp32
_COLUMNS = ("parameters", "MACs", "share", "activations", "MB")
_MOST_BARS = 60
_LABEL, _PANEL, _BAR, _ROW, _HEAD, _GAP = 270, 290, 150, 18, 56, 12
_BLUE, _WHITE, _STRIPE = (180, 105, 30), 255, 246  # BGR, and levels of gray


def parse_size(text: str) -> tuple[int, int]:
    """Return height and width of a size written as ``640x360``, width first.

    Raises:
        ValueError: for anything else.
    """
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise ValueError(f"got the size {text!r}, expected WIDTHxHEIGHT in pixels, such as 640x360")
    return int(match[2]), int(match[1])


def cost_table(title: str, costs: Sequence[Cost], of: str = "layer") -> Table:
    """Lay out costs, a line for each and one for their sum; the share is that of the MACs, MB is for fp32."""
    table = Table(title=title, show_footer=True)
    everything = total(costs)
    table.add_column(of, "total", overflow="fold")
    table.add_column("")
    for name, sum_of_it in zip(_COLUMNS, _cells(everything, everything), strict=True):
        table.add_column(name, sum_of_it, justify="right")
    for cost in costs:
        table.add_row(cost.name, cost.kind, *_cells(cost, everything))
    return table


def draw_bars(path: Path, title: str, costs: Sequence[Cost]) -> None:
    """Draw the parameters, multiply-accumulates and activations of layers as bars into a PNG.

    Where there are too many to be seen, neighbours inside the same module share a bar. A bar's length is its share
    of the largest in its column.
    """
    bars = grouped(costs, _MOST_BARS)
    everything = total(costs)
    picture = np.full((_HEAD + _ROW * len(bars) + _GAP, _LABEL + 3 * _PANEL, 3), _WHITE, np.uint8)
    picture[_HEAD:-_GAP] = np.where(np.arange(_ROW * len(bars)) // _ROW % 2, _WHITE, _STRIPE)[:, None, None]
    write_text(picture, title, (_GAP, 20), size=0.5)
    for row, cost in enumerate(bars):
        write_text(picture, cost.name, (_LABEL - _GAP, _HEAD + _ROW * row + 13), before=1)
    for column, quantity in enumerate(("parameters", "macs", "activations")):
        _draw_column(
            picture[_HEAD:, _LABEL + column * _PANEL :],
            [getattr(cost, quantity) for cost in bars],
            getattr(everything, quantity),
        )
        heading = f"{'MACs' if quantity == 'macs' else quantity}: {short(getattr(everything, quantity))}"
        write_text(picture, heading, (_LABEL + column * _PANEL, _HEAD - 10))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def short(number: float) -> str:
    """Write a count with three digits and its thousands as K, M, G or T: ``153.7 G``."""
    for unit in ("", " K", " M", " G"):
        if number < 999.5:
            return f"{number:.4g}{unit}" if number >= 100 else f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.4g} T"


def _cells(cost: Cost, everything: Cost) -> tuple[str, str, str, str, str]:
    return (
        f"{cost.parameters:,}",
        short(cost.macs),
        f"{cost.macs / max(everything.macs, 1):.1%}",
        short(cost.activations),
        f"{_BYTES * cost.activations / 1e6:,.1f}",
    )


def _draw_column(panel: np.ndarray[Any, Any], values: Sequence[int], everything: int) -> None:
    longest = max(*values, 1)
    for row, value in enumerate(values):
        length, top = round(_BAR * value / longest), _ROW * row
        panel[top + 3 : top + _ROW - 3, :length] = _BLUE
        write_text(panel, f"{short(value)}  {value / max(everything, 1):.1%}", (length + 6, top + 13), size=0.36)
