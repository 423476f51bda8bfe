"""Validate YAML files against pydantic models; all errors of a file are reported together, with their lines.

    configs/chain.yaml:7: stages.1.width: got 'abc', expected an integer

Each line names the place, the value and what was expected; for a misspelt name also the nearest valid one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.chain.yaml_document import ConfigProblem, Location, YamlDocument, read_document

M = TypeVar("M", bound=BaseModel)

_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "`key: value` lines",
    "model_type": "`key: value` lines",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
}


def read_yaml(path: Path, model: type[M]) -> M:
    """Read a YAML file as a pydantic model.

    Raises:
        ConfigError: with one line per error.
    """
    document = read_document(path)
    value, problems = check(document, document.data, model)
    if value is None or problems:
        raise document.error(problems)
    return value


def check(document: YamlDocument, data: dict[str, Any], model: type[M]) -> tuple[M | None, list[ConfigProblem]]:
    """Validate a document's content, or what was made from it, and return the model and the problems.

    Validators find the document's folder, which paths are relative to, in their context as ``folder``.
    """
    problems = list(document.duplicates)
    try:
        # By way of JSON, whose lists are valid for tuples even where pydantic is strict.
        content = json.dumps(data, default=str)
        return model.model_validate_json(content, context={"folder": document.path.parent}), problems
    except ValidationError as error:
        schema = _schema(model)
        details = [detail for detail in error.errors() if not _follows(detail)]
        return None, problems + [_explain(document, detail, schema) for detail in details]
    except (ValueError, RecursionError):  # an anchor inside of itself, or an integer of thousands of digits
        return None, [*problems, ConfigProblem(1, (), "holds itself or an endless number, expected plain values")]


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ``; did you mean 'NEAREST'?``, or a full stop where nothing is near."""
    close = get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else "."


def _follows(error: ErrorDetails) -> bool:
    """Return whether a list is too short only because its wrong items, reported themselves, were not counted."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def _explain(document: YamlDocument, error: ErrorDetails, schema: dict[str, Any]) -> ConfigProblem:
    """Turn one of pydantic's errors into a problem that names the line."""
    location = error["loc"]
    names = _valid_names(schema, location)
    if error["type"] == "union_tag_invalid":
        location += (_discriminator(error),)
    line, found = document.locate(location)
    if found[-1:] != location[-1:] and (error["type"] == "missing" or location[-1] in names):
        found += location[-1:]  # it is missing, or came from elsewhere than the file
    return ConfigProblem(line, found, _describe(error, names))


def _describe(error: ErrorDetails, names: list[str]) -> str:
    """Say what came and what was expected."""
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "missing"
        case "extra_forbidden":
            return f"unknown key{did_you_mean(str(error['loc'][-1]), names)} Valid keys: {', '.join(names)}"
        case "union_tag_invalid":
            kind, tag = _discriminator(error), context["tag"]
            return f"unknown {kind} {tag!r}{did_you_mean(tag, names)} Valid {kind}s: {', '.join(names)}"
        case "union_tag_not_found":
            return f"`{_discriminator(error)}:` is missing, expected one of {', '.join(names)}"
        case "too_short":
            return f"got {context['actual_length']} items, expected at least {context['min_length']}"
        case "too_long":
            return f"got {context['actual_length']} items, expected at most {context['max_length']}"
        case "json_invalid":
            return f"cannot be read: {context['error']}"
        case "value_error":
            return str(context["error"])
    if error["type"] in _EXPECTED:
        expected = _EXPECTED[error["type"]].format(**context)
    else:
        expected = error["msg"].removeprefix("Input should be ")
    return f"got {_show(error['input'])}, expected {expected}"


def _show(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case list():
            return "a list"
        case dict():
            return "`key: value` lines"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _discriminator(error: ErrorDetails) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")


def _valid_names(schema: dict[str, Any], location: Location) -> list[str]:
    """Return the names that could have stood there: the tags of a union, or the keys beside the last one."""
    here, parent = schema, schema
    for piece in location:
        parent, here = here, _step(here, piece, schema)
    return list(here.get("discriminator", {}).get("mapping", {}) or parent.get("properties", {}))


def _step(schema: dict[str, Any], piece: str | int, root: dict[str, Any]) -> dict[str, Any]:
    """Walk one part of a location down a JSON schema; ``{}`` where it does not lead."""
    tags = schema.get("discriminator", {}).get("mapping", {})
    if isinstance(piece, int):
        below = schema.get("items", {})
    elif piece in tags:
        below = {"$ref": tags[piece]}
    else:
        below = schema.get("properties", {}).get(piece, {})
    for option in below.get("anyOf", []):  # an optional section
        below = option if option.get("type") != "null" else below
    while "$ref" in below:
        below = root["$defs"][below["$ref"].rsplit("/", 1)[-1]]
    return dict(below)
