"""Parse YAML into plain values together with their line numbers, for error messages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipeline.errors import ConfigError

_LARGEST_FILE = 2**20  # bytes; parsing takes seconds per megabyte
_MOST_VALUES = 100_000  # with all aliases expanded, of which a few lines can make billions

Location = tuple[str | int, ...]


class ConfigProblem(NamedTuple):
    """One line of a ConfigError: what is wrong with the value at a place of the file."""

    line: int
    location: Location
    text: str


@dataclass(frozen=True)
class YamlDocument:
    """A parsed YAML file and the line of everything in it.

    Attributes:
        data: The content as dicts, lists and scalars.
        duplicates: Keys given twice, of which ``data`` holds the last.
    """

    path: Path
    root: yaml.Node
    data: dict[str, Any]
    duplicates: tuple[ConfigProblem, ...]

    def problem(self, location: Location, text: str) -> ConfigProblem:
        """Return a problem at a location, with the line of its innermost part that the file has."""
        return ConfigProblem(self.locate(location)[0], location, text)

    def locate(self, location: Location) -> tuple[int, Location]:
        """Return the line of a place in the file, and the place without what the file does not have.

        Such parts are pydantic's own (the tag of a union) or keys that are missing.
        """
        node, line = self.root, _line_of(self.root)
        found: list[str | int] = []
        for piece in location:
            child = _child(node, piece)
            if child is not None:
                line, node = child
                found.append(piece)
        return line, tuple(found)

    def error(self, problems: list[ConfigProblem]) -> ConfigError:
        """Return one error with a line per problem, from the top of the file down."""
        ordered = sorted(problems, key=lambda problem: problem.line)
        return ConfigError("\n".join(self._format(problem) for problem in ordered))

    def _format(self, problem: ConfigProblem) -> str:
        place = ".".join(str(piece) for piece in problem.location)
        return f"{self.path}:{problem.line}: {place}{': ' if place else ''}{problem.text}"


def read_document(path: Path) -> YamlDocument:
    """Parse a YAML file whose content is a mapping.

    Raises:
        ConfigError: if it cannot be read, is too large, is not YAML, is empty or is not a mapping.
    """
    text = _read_text(path)
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise ConfigError(f"{path}: the file is empty, expected `key: value` lines")
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{path}:{_line_of(root)}: got {_kind(root)}, expected `key: value` lines")
        if _expanded_size(root, {}) > _MOST_VALUES:
            raise ConfigError(f"{path}: its aliases expand to more than {_MOST_VALUES} values")
        duplicates = tuple(_duplicate_keys(root, (), set()))  # before merge keys are expanded by construction
        return YamlDocument(path, root, loader.construct_document(root), duplicates)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_explain_syntax(error, text)}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error


def parse_value(text: str) -> Any:
    """Parse one value as it would stand behind a key, such as ``1e-3`` or ``[0, 55]``.

    Raises:
        ConfigError: if it is not YAML.
    """
    try:
        return _Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ConfigError(f"{text!r} is not YAML: {getattr(error, 'problem', None) or error}") from error


class _Loader(yaml.SafeLoader):
    """The safe loader, but ``1e-4`` is a number (YAML 1.1 wants ``1.0e-4``) and all numbers are finite.

    What Python cannot hold, such as the date 2001-99-99, is an error of YAML with its line, and so are values and keys
    of kinds that JSON does not have.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, TypeError) as error:
            raise yaml.constructor.ConstructorError(
                problem=f"got {_shortened(node.value)}, which is no valid value", problem_mark=node.start_mark
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if wrong := [key for key in mapping if not isinstance(key, str | int | float | None)]:
            raise yaml.constructor.ConstructorError(
                problem=f"got the key {wrong[0]}, expected text", problem_mark=node.start_mark
            )
        return mapping

    def refuse_kind(self, node: yaml.Node) -> None:
        self.construct_undefined(node)

    def construct_finite_float(self, node: yaml.ScalarNode) -> float:
        value = self.construct_yaml_float(node)
        if not math.isfinite(value):
            raise yaml.constructor.ConstructorError(
                problem=f"got {node.value}, expected a finite number", problem_mark=node.start_mark
            )
        return float(value)


for _kind_of_python in ("binary", "set", "omap", "pairs"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind_of_python}", _Loader.refuse_kind)
_FLOAT_TAG = "tag:yaml.org,2002:float"
_Loader.add_constructor(_FLOAT_TAG, _Loader.construct_finite_float)
_Loader.add_implicit_resolver(_FLOAT_TAG, re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789"))


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder, expected a YAML file")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > _LARGEST_FILE:
        raise ConfigError(f"{path}: has more than {_LARGEST_FILE} bytes, expected a short YAML file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8 text"
        ) from error


def _explain_syntax(error: yaml.YAMLError, text: str) -> str:
    """Say ``:LINE: what is wrong`` of a file that is not YAML."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f": not YAML: {' '.join(str(error).split())}"
    lines = text.splitlines()
    number = min(mark.line, len(lines) - 1)
    indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
    if "\t" in indent or "\\t" in str(getattr(error, "problem", "")):
        return f":{number + 1}: got a tab, expected spaces (YAML does not indent with tabs)"
    problem = getattr(error, "problem", None) or "cannot be parsed"
    return f":{number + 1}: {problem}; near {_shortened(lines[number].strip())}"


def _expanded_size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node and all below it have; an alias counts as often as it stands there."""
    if id(node) not in known:
        known[id(node)] = 0  # ends at an alias of what is around it
        items = node.value if isinstance(node, yaml.CollectionNode) else ()
        children = (child for item in items for child in (item if isinstance(item, tuple) else (item,)))
        known[id(node)] = 1 + sum(_expanded_size(child, known) for child in children)
    return known[id(node)]


def _duplicate_keys(node: yaml.Node, location: Location, seen: set[int]) -> Iterator[ConfigProblem]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicate_keys(item, (*location, index), seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in lines:
                text = f"given twice, first on line {lines[name]}; keep one"
                yield ConfigProblem(_line_of(key), (*location, name), text)
            lines.setdefault(name, _line_of(key))
            yield from _duplicate_keys(value, (*location, name), seen)


def _child(node: yaml.Node, piece: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(piece, int) and piece < len(node.value):
        return _line_of(node.value[piece]), node.value[piece]
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == piece:
                return _line_of(key), value
    return None


def _line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _kind(node: yaml.Node) -> str:
    return "a list" if isinstance(node, yaml.SequenceNode) else _shortened(node.value)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
