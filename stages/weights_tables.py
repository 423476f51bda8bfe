"""Tables of weights for a terminal of 80 columns: all of them in a line each, and one in full."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stages.catalogue.cache import is_here, place_of
from stages.catalogue.entry import Entry, entries, read_entry, speed_class
from stages.options import find_config
from stages.profile import build_on_meta, stage_costs, total
from stages.tables import FRAME, changed_options, name_column, number_column, plain_table, yaml_text
from stages.weights import Card, read_card, shipped_weights

_LICENCE_WIDTH = 12


def weights_table(purpose: str | None = None) -> Table:
    """List shipped weights, then published ones; those for a purpose only if one is given.

    Raises:
        WeightsError: for an unknown purpose.
    """
    table = plain_table(
        name_column("weights"),
        name_column("for"),
        number_column("MB"),
        name_column("licence"),
        name_column("speed"),
        name_column("quality"),
    )
    published = list(entries(purpose))  # an unknown purpose is refused before anything is counted
    for name, path in shipped_weights().items():
        if purpose is None or name.startswith(purpose):
            table.add_row(*_shipped_cells(name, path))
    table.add_section()
    for path, entry in published:
        table.add_row(*_entry_cells(path, entry))
    table.caption = Text(
        "\nMB: + is on this machine; ? has no known SHA-256: not downloaded.\n"
        "Speed at 640x360: fast to 100 GMACs, medium to 600, slow to 2000.\n"
        "Quality: published PSNR (dB); compare within one protocol only."
    )
    return table


def _shipped_cells(name: str, path: Path) -> tuple[str, ...]:
    card = read_card(path)
    gmacs = total(stage_costs(build_on_meta(find_config(name)), *FRAME)).macs / 1e9
    protocol, score = next(iter(card.metrics.items()), ("", 0.0))
    size = f"{path.stat().st_size / 1e6:.1f}+"
    return name, name.partition("_")[0], size, "MIT", speed_class(gmacs), _figure(score, protocol)


def _entry_cells(path: Path, entry: Entry) -> tuple[str, ...]:
    mark = "?" if entry.sha256 is None else "+" if is_here(path, entry) else " "
    size = "" if entry.size is None else f"{entry.size / 1e6:.1f}"
    licence = _cut(entry.licence, _LICENCE_WIDTH)
    figure = "" if entry.figure is None else _figure(entry.figure.psnr, entry.figure.protocol)
    return path.stem, entry.purpose, f"{size}{mark}", licence, entry.speed, figure


def _figure(psnr: float, protocol: str) -> str:
    """Return a figure with the first word of its protocol, the test set: ``32.87 GoPro``."""
    test_set = re.search(r"[A-Za-z0-9]+", protocol.removeprefix("pairs "))
    return f"{psnr:.2f} {test_set[0] if test_set else ''}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


def describe_entry(path: Path) -> Iterator[RenderableType]:
    """Yield what the catalogue knows of published weights.

    Raises:
        WeightsError: if the file is no entry.
    """
    entry = read_entry(path)
    facts = Table.grid(padding=(0, 2))
    options = ", ".join(f"{name} {yaml_text(value)}" for name, value in entry.options.items())
    figure = "" if entry.figure is None else f"PSNR {entry.figure.psnr:.2f} dB, {entry.figure.protocol}"
    for title, value in (
        ("entry", str(path)),
        ("stage", f"{entry.stage}: {options}".removesuffix(": ")),
        ("purpose", f"{entry.purpose}, x{entry.scale}; trained for {entry.trained_for or 'what is not stated'}"),
        ("quality", figure),
        ("cost", _cost(entry)),
        ("licence", f"{entry.licence} ({_USES[entry.uses]})"),
        ("origin", entry.origin),
        ("caution", entry.caution),
        ("size", entry.megabytes),
        ("SHA-256", _hash(entry)),
        ("on this machine", str(place_of(path, entry)) if is_here(path, entry) else "no"),
        ("URLs", "\n".join(entry.urls)),
    ):
        if value:
            facts.add_row(title, Text(value, overflow="fold"))
    yield facts


_USES = {"any": "any use", "restricted": "restricted use, see --accept-licence", "unclear": "unclear which use"}


def _cost(entry: Entry) -> str:
    if entry.parameters is None or entry.gmacs is None:
        return ""
    return f"{entry.parameters:,} parameters, {entry.gmacs:,.1f} GMACs at 640x360 ({entry.speed})"


def _hash(entry: Entry) -> str:
    if entry.sha256 is None:
        return "not known: not downloaded, see `weights add`"
    return f"{entry.sha256} ({'confirmed' if entry.confirmed else 'from one source'})"


def describe_weights(path: Path) -> Iterator[RenderableType]:
    """Yield a weights file's card: facts, options, scores, and the configuration that trained it.

    Raises:
        WeightsError: if the file is not a weights file.
    """
    card = read_card(path)
    yield _facts(path, card)
    changed = ", ".join(changed_options(card)) or "none"
    yield Text(f"Options that differ from the default network (default in parentheses): {changed}")
    yield ""
    if card.metrics:
        scores = plain_table(number_column("score"), "protocol")
        for protocol, value in card.metrics.items():
            scores.add_row(f"{value:.3f}", protocol)
        yield scores
        yield ""
    if card.training is not None:
        yield "Training configuration:"
        yield Padding(Text(yaml_text(card.training, block=True)), (0, 0, 0, 2))


def _facts(path: Path, card: Card) -> Table:
    facts = Table.grid(padding=(0, 2))
    options = ", ".join(f"{name} {yaml_text(value)}" for name, value in card.config.items() if name != "stage")
    for title, value in (
        ("file", str(path)),
        ("stage", f"{card.config.get('stage')}: {options}"),
        ("size", f"{path.stat().st_size / 1e6:.1f} MB"),
        ("trained for", card.trained_for),
        ("data", card.data),
        ("steps", f"{card.steps:,}"),
        ("origin", card.origin),
        ("code version", card.code_version),
    ):
        facts.add_row(title, Text(value, overflow="fold"))
    return facts
