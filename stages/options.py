"""Stage configs from a command line: ``OPTION=VALUE`` texts, names of stages and of weights."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from stages.errors import WeightsError
from stages.registry import STAGES, config_from
from stages.stage import StageConfig
from stages.weights import Card, read_card, resolve


def find_config(name: str, options: Iterable[str] = ()) -> StageConfig:
    """Return the config of a stage with options, or of the stage that a weights file is for.

    Raises:
        WeightsError: for an unknown name, for wrong options, and for options beside a weights file.
    """
    options = list(options)
    if name in STAGES:
        return config_with(name, options)
    try:
        path = resolve(name, Path())
    except WeightsError as error:
        raise WeightsError(f"{error}\nnor is it a stage: {', '.join(STAGES)}") from error
    if options:
        raise WeightsError(f"{name}: got {' '.join(options)}, expected no options: a weights file holds its own")
    return config_from(read_card(path))


def config_with(tag: str, options: Iterable[str]) -> StageConfig:
    """Return the config of a stage with options written as ``depth=17``, values in YAML's spelling.

    Raises:
        WeightsError: for an unknown stage, option or value.
    """
    if tag not in STAGES:
        close = difflib.get_close_matches(tag, STAGES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise WeightsError(f"stage: got {tag!r}, expected one of {', '.join(STAGES)}.{hint}")
    return config_from(Card(config={"stage": tag, **dict(map(_parse_option, options))}))


def _parse_option(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise WeightsError(f"got {text!r}, expected OPTION=VALUE such as depth=17")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise WeightsError(f"got {text!r}, expected OPTION=VALUE with a value in YAML's spelling") from error
