"""Costs of layers, as a table and as a plot with a bar for each layer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from stages.profile import Cost, grouped, total

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BYTES = 4  # of a number in fp32
_COLUMNS = ("parameters", "MACs", "share", "activations", "MB")
_MOST_BARS = 60
_QUANTITIES = {"parameters": "parameters", "MACs": "macs", "activations": "activations"}


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
    """Plot the parameters, multiply-accumulates and activations of layers as bars, into a PNG.

    Where there are too many layers, neighbours inside the same module share a bar.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    cost_figure(title, costs).savefig(path, dpi=100)


def cost_figure(title: str, costs: Sequence[Cost]) -> Figure:
    """Plot costs as three columns of horizontal bars, each with its count and its share of the column's sum."""
    from matplotlib.figure import Figure

    bars = grouped(costs, _MOST_BARS)
    figure = Figure(figsize=(12, 1.3 + 0.2 * len(bars)), layout="constrained")
    figure.suptitle(title)
    for axes, (heading, quantity) in zip(figure.subplots(1, 3, sharey=True), _QUANTITIES.items(), strict=True):
        values = [getattr(cost, quantity) for cost in bars]
        everything = sum(values)
        drawn = axes.barh(range(len(bars)), values)
        labels = [f"{short(value)}  {value / max(everything, 1):.1%}" for value in values]
        axes.bar_label(drawn, labels, padding=4, fontsize=7)
        axes.set_title(f"{heading}: {short(everything)}", fontsize=9)
        axes.set_yticks(range(len(bars)), [cost.name for cost in bars], fontsize=7)
        axes.set_xlim(0, 1.5 * max(*values, 1))  # room for the labels
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.axes[0].invert_yaxis()
    return figure


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
