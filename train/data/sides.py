"""Which folders and files hold degraded images and which clean ones, by the field's usual words in their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.errors import ConfigError

_DEGRADED = frozenset(
    {
        "bicubic", "blur", "blurred", "blurry", "compressed", "corrupted", "damaged", "degraded", "distorted", "foggy",
        "hazy", "lowlight", "lowquality", "lowres", "lowresolution", "lq", "noised", "noisy", "rainy", "underexposed",
    }
)  # fmt: skip
_CLEAN = frozenset(
    {
        "after", "clean", "clear", "gt", "groundtruth", "hazefree", "high", "highquality", "highres", "highresolution",
        "hq", "hr", "label", "labels", "nohaze", "noisefree", "nonoise", "norain", "normal", "original", "originals",
        "rainfree", "ref", "reference", "sharp", "target", "targets",
    }
)  # fmt: skip
# Names of everyday folders, too: they say nothing without the other side.
_EVERYDAY = frozenset(
    {
        "before", "degradation", "fog", "haze", "input", "inputs", "low", "lr", "noise", "rain", "source", "src",
    }
)  # fmt: skip
_SMALL = frozenset({"bicubic", "lowres", "lowresolution", "lr"})
_Kind = Literal["degraded", "everyday", "clean"]
_WORDS: dict[_Kind, frozenset[str]] = {"degraded": _DEGRADED, "everyday": _EVERYDAY, "clean": _CLEAN}
# Words of clean images that mean nothing else.
CERTAINLY_CLEAN = frozenset({"clean", "gt", "groundtruth", "highquality", "hq", "hr", "norain", "sharp"})
_KNOWN = _DEGRADED | _EVERYDAY | _CLEAN
_COUPLES = frozenset(
    {
        ("blur", "sharp"), ("blurred", "sharp"), ("blurry", "sharp"), ("noisy", "clean"), ("degraded", "clean"),
        ("lq", "gt"), ("lq", "hq"), ("lr", "hr"), ("input", "target"), ("inputs", "targets"), ("low", "high"),
        ("rain", "norain"), ("hazy", "clear"), ("before", "after"), ("source", "target"),
    }
)  # fmt: skip
# Fixed capitals first, as in GTmod12; then Sharp in SharpImages; then what is left.
_TOKEN = re.compile(r"(?:GT|HQ|HR|LQ|LR)(?![A-Z])|[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]|\d+")
_Name = tuple[str, str] | tuple[str, tuple[str, ...]]
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "eval"})


class Side(NamedTuple):
    """What a name says.

    Attributes:
        kind: ``everyday`` for a word of degraded images that is also an everyday name; None for no word, or for words
            of both sides.
        word: The word.
        rest: What is left of the name without such words; the same for the two sides of a pair.
        small: Whether it stands for low resolution.
        factor: Of the low resolution, as in ``LR_x4``; 0 for none.
        last: Whether the name ends with the word.
    """

    kind: _Kind | None
    word: str
    rest: tuple[str, ...]
    small: bool = False
    factor: int = 0
    last: bool = False

    @property
    def alone(self) -> bool:
        """Whether the name holds nothing else but ``train`` or ``val``; of low resolution, also ``Set5_LR``."""
        return all(token in _SPLITS for token in self.rest) or (self.word == "lr" and self.last)

    @property
    def splits(self) -> frozenset[str]:
        """Return which part of a data set the name stands for."""
        return _SPLITS.intersection(self.rest)

    def is_usual_with(self, clean: Side) -> bool:
        """Return whether the two words usually go together."""
        return (self.word, clean.word) in _COUPLES


def side_of(name: str) -> Side:
    """Read the name of a folder or file."""
    tokens, factor = _without_factor(_tokens(name))
    rest = tuple(token for token in tokens if token not in _KNOWN)
    small = not _SMALL.isdisjoint(tokens)
    words = {kind: [token for token in tokens if token in known] for kind, known in _WORDS.items()}
    if words["clean"] and (words["degraded"] or words["everyday"]) and not small:
        return Side(None, "", tuple(tokens))
    for kind, found in words.items():
        if found:
            return Side(kind, found[0], rest, small, factor, last=tokens[-1] == found[0])
    return Side(None, "", tuple(tokens))


def pair_names(degraded: Sequence[Path], clean: Sequence[Path]) -> dict[Path, Path]:
    """Pair two sides by their names below their folders: equal ones, then those that are equal without words of sides.

    Returns:
        The degraded path of each clean one that has one.

    Raises:
        ConfigError: if a name fits several others.
    """
    pairs: dict[Path, Path] = {}
    keys: tuple[Callable[[Path], _Name], ...] = (_place, _key)
    for key in keys:
        left, right = _grouped(_without(degraded, pairs.values()), key), _grouped(_without(clean, pairs), key)
        for name in left.keys() & right.keys():
            if key is _key:
                _refuse_several(left[name], right[name])
            pairs |= dict(zip(right[name], left[name], strict=False))
    return pairs


def pair_by_affix(degraded: Sequence[Path], clean: Sequence[Path]) -> dict[Path, Path]:
    """Pair sides where one adds the same letters to every name, as ``0_iso3200`` and ``0``; as `pair_names`."""
    if found := _by_affix(degraded, clean):
        return {clean_path: path for path, clean_path in found.items()}
    return _by_affix(clean, degraded)


def _by_affix(longer: Sequence[Path], shorter: Sequence[Path]) -> dict[Path, Path]:
    """Return the shorter name of each longer one, if one affix leads from all of either side to the other."""
    by_place = {_place(path): path for path in shorter}
    for start, end in _affixes(longer, shorter):
        found = {}
        for path in longer:
            folder, stem = _place(path)
            if stem.startswith(start) and stem.endswith(end):
                found[path] = by_place.get((folder, stem.removeprefix(start).removesuffix(end)))
        pairs = {path: other for path, other in found.items() if other is not None}
        if len(pairs) in (len(longer), len(shorter)):
            return pairs
    return {}


def _affixes(longer: Sequence[Path], shorter: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield what may stand before and behind the shorter names; no digits beside them, which may count the images."""
    stems = {_place(path)[1] for path in shorter}
    for name in sorted({_place(path)[1] for path in longer})[:1]:
        for stem in sorted(stems, key=len, reverse=True):
            if name != stem and name.startswith(stem) and not name[len(stem)].isdigit():
                yield "", name[len(stem) :]
            if name != stem and name.endswith(stem) and not name[-len(stem) - 1].isdigit():
                yield name[: -len(stem)], ""


def _refuse_several(degraded: Sequence[Path], clean: Sequence[Path]) -> None:
    if len(degraded) > 1 or len(clean) > 1:
        raise ConfigError(
            f"{', '.join(map(str, degraded))} may all be the degraded side of {', '.join(map(str, clean))}; "
            "expected one for each; rename them, or give a list file of pairs"
        )


def _grouped(paths: Iterable[Path], key: Callable[[Path], _Name]) -> dict[_Name, list[Path]]:
    groups: dict[_Name, list[Path]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    return groups


def _without(paths: Iterable[Path], taken: Iterable[Path]) -> list[Path]:
    gone = set(taken)
    return [path for path in paths if path not in gone]


def _place(path: Path) -> tuple[str, str]:
    return path.parent.as_posix().casefold(), path.stem.casefold()


def _key(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return a name without the words of sides and without the factor of ``0001x2``."""
    tokens, _ = _without_factor(_tokens(path.stem))
    return path.parent.as_posix().casefold(), tuple(token for token in tokens if token not in _KNOWN)


def _without_factor(tokens: list[str]) -> tuple[list[str], int]:
    """Take the factor of ``0001x2`` and ``LR_x4`` off; 0 if there is none."""
    if len(tokens) > 2 and tokens[-2] == "x" and tokens[-1] in ("2", "3", "4", "8"):
        return tokens[:-2], int(tokens[-1])
    return tokens, 0


def _tokens(name: str) -> list[str]:
    """Split a name into words and numbers; ``low_quality`` and ``ground truth`` are one word each."""
    tokens: list[str] = []
    for token in (match.casefold() for match in _TOKEN.findall(name)):
        if tokens and tokens[-1] + token in _KNOWN:
            tokens[-1] += token
        else:
            tokens.append(token)
    return tokens
