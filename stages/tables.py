"""Tables of stages for a terminal of 80 columns."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
import yaml
from pydantic.fields import FieldInfo
from rich import box
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from stages.errors import WeightsError
from stages.options import find_config
from stages.profile import build_on_meta, stage_costs, total
from stages.registry import STAGES
from stages.stage import StageConfig
from stages.weights import Card, read_card, shipped_weights

FRAME = (360, 640)
_BOUNDS: dict[type, str] = {
    annotated_types.Ge: ">=",
    annotated_types.Gt: ">",
    annotated_types.Le: "<=",
    annotated_types.Lt: "<",
}


def stage_table() -> Table:
    """List every stage: purpose, scale, and the cost of its default network at 640x360."""
    table = plain_table(
        name_column("stage"), name_column("purpose"), "scale", number_column("parameters"), number_column("GMACs")
    )
    missing = []
    for tag, config_type in STAGES.items():
        try:
            cells = _costs(config_type)
        except WeightsError as error:  # a package that is not installed
            cells = ("-",) * 3
            missing.append(str(error))
        table.add_row(tag, config_type.summary, *cells)
    table.caption = Text(
        "\n".join(["", "GMACs: billions of multiply-accumulates for an image of 640x360.", *missing, ""])
    )
    return table


def _costs(config_type: type[StageConfig]) -> tuple[str, ...]:
    if _required(config_type):
        return ("-",) * 3
    stage = build_on_meta(find_config(config_type.model_fields["stage"].default))
    cost = total(stage_costs(stage, *FRAME))
    if not cost.parameters:
        return f"x{stage.scale}", "-", "-"
    return f"x{stage.scale}", f"{cost.parameters / 1e6:.2f} M", f"{cost.macs / 1e9:.1f}"


def _required(config_type: type[StageConfig]) -> list[str]:
    return [name for name, field in config_type.model_fields.items() if field.is_required()]


def shipped_table() -> Table:
    """List the shipped networks with the options in which they differ from their stage's default network."""
    table = plain_table(name_column("shipped"), name_column("stage"), "options that differ (default in parentheses)")
    for name, path in shipped_weights().items():
        card = read_card(path)
        table.add_row(name, str(card.config.get("stage")), ", ".join(changed_options(card)))
    return table


def changed_options(card: Card) -> list[str]:
    """Return the options of a card that differ from the stage's defaults: ``depth 16 (20)``."""
    config_type = STAGES.get(str(card.config.get("stage")))
    if config_type is None:
        return []
    defaults = {name: field.default for name, field in config_type.model_fields.items()}
    return [
        f"{name} {yaml_text(value)} ({yaml_text(defaults[name])})"
        for name, value in card.config.items()
        if name in defaults and value != defaults[name]
    ]


def describe_stage(name: str) -> Iterator[RenderableType]:
    """Yield a stage's paper, its options, and what it asks of an image and costs.

    Args:
        name: A stage's tag, a shipped name, or a weights file.

    Raises:
        WeightsError: if it is none of them.
    """
    required = _required(STAGES[name]) if name in STAGES else []
    config = None if required else find_config(name)
    config_type = STAGES[name] if config is None else type(config)
    yield Text(_reflowed(inspect.getdoc(inspect.getmodule(config_type)) or ""))
    yield ""
    yield _option_table(config_type, {} if config is None else config.model_dump())
    if config is not None:
        yield ""
        yield _demands(config)


def _reflowed(docstring: str) -> str:
    """Join the lines of each paragraph, so that a terminal breaks them to its width; drawings stay."""
    paragraphs = docstring.replace("``", "").split("\n\n")
    return "\n\n".join(text if text.startswith(" ") else text.replace("\n", " ") for text in paragraphs)


def _option_table(config_type: type[StageConfig], values: dict[str, Any]) -> Table:
    table = plain_table(name_column("option"), "type", "value", "meaning")
    for name, field in config_type.model_fields.items():
        if name != "stage":
            value = "required" if field.is_required() else yaml_text(values.get(name, field.default))
            table.add_row(name, *map(Text, (_type_text(field), value, field.description or "")))
    return table


def _type_text(field: FieldInfo) -> str:
    """Return an option's type and bounds: ``int >= 1``, ``1 | 3``, ``str | null``."""
    bounds = [f"{_BOUNDS[type(bound)]} {_limit(bound):g}" for bound in field.metadata if type(bound) in _BOUNDS]
    return " ".join([_annotation_text(field.annotation), *bounds])


def _limit(bound: Any) -> float:
    limit: float = getattr(bound, type(bound).__name__.lower())
    return limit


def _annotation_text(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(map(yaml_text, get_args(annotation)))
    if annotation is type(None):
        return "null"
    if get_origin(annotation) is Annotated:
        return _annotation_text(annotation.__origin__)
    if get_origin(annotation) is list:
        return f"list of {_annotation_text(get_args(annotation)[0])}"
    if get_args(annotation):
        return " | ".join(map(_annotation_text, get_args(annotation)))
    return "file" if issubclass(annotation, Path) else str(annotation.__name__)


def _demands(config: StageConfig) -> str:
    stage = build_on_meta(config)
    cost = total(stage_costs(stage, *FRAME))
    halo = "the whole image" if stage.halo is None else f"{stage.halo} px"
    around = f", {stage.radius} frames of a video on each side" if stage.radius else ""
    return (
        f"scale x{stage.scale}, halo {halo}{around}, sizes in multiples of {stage.multiple_of}; "
        f"{cost.parameters:,} parameters, {cost.macs / 1e9:.1f} GMACs at 640x360"
    )


def plain_table(*columns: Column | str) -> Table:
    """Build a table with a line below its heading."""
    return Table(
        *columns, box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, caption_justify="left"
    )


def name_column(title: str) -> Column:
    """Build a column that is never broken."""
    return Column(title, no_wrap=True)


def number_column(title: str) -> Column:
    """Build a column of numbers."""
    return Column(title, justify="right", no_wrap=True)


def yaml_text(value: Any, *, block: bool = False) -> str:
    """Write a value as YAML does: ``true``, ``null``, ``[1, 2]``; as a block, with a line for each key."""
    if block:
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=78).rstrip()
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
