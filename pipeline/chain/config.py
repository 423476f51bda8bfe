"""Typed configuration of a chain, read from YAML: stages, their options and weights."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.chain.yaml_document import ConfigProblem, YamlDocument, read_document
from pipeline.chain.yaml_validation import check, did_you_mean
from pipeline.condition.strengths import table_of, tables_sha256
from pipeline.errors import ConfigError
from pipeline.hashing import sha256_of
from stages.catalogue.cache import known_sha256
from stages.catalogue.entry import is_entry, read_entry
from stages.dncnn import DnCNNConfig
from stages.errors import WeightsError
from stages.foreign import SpandrelConfig
from stages.registry import STAGES, AnyStageConfig
from stages.stage import LearnedStageConfig, StageConfig
from stages.temporal_denoise import TemporalDenoiseConfig
from stages.weights import read_card, resolve, shipped_weights

StageStrength = float | Literal["auto"]
"""Of a stage: from its input (0) to its output (1), or by what is measured of the image."""


class ChainConfig(BaseModel):
    """The stages of a chain, in the order in which they run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[AnyStageConfig, ...] = Field(min_length=1, max_length=100, description="the steps, first to last")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the stages: their tags, numbered from the second of a kind (``dncnn``, ``dncnn_2``)."""
        return _numbered(stage.stage for stage in self.stages)

    def with_strengths(self, strengths: Mapping[str, StageStrength]) -> ChainConfig:
        """Return the chain with the strengths of the named stages replaced.

        Raises:
            ConfigError: for a name that no stage has, or a strength that is neither 0 to 1 nor ``auto``.
        """
        stages = dict(zip(self.names, self.stages, strict=True))
        problems = [f"strength: {no_such_stage(name, self.names)}" for name in strengths if name not in stages]
        for name, strength in strengths.items():
            if name in stages and (problem := _problem_with(strength, stages[name])):
                problems.append(f"strength: {name}: {problem}")
        if problems:
            raise ConfigError("\n".join(problems))
        for name, strength in strengths.items():
            stages[name] = stages[name].model_copy(update={"strength": strength})
        return ChainConfig(stages=tuple(stages.values()))

    def at_full_strength(self) -> ChainConfig:
        """Return the chain with 1 for every strength that is ``auto``, so that every stage is computed."""
        return self.with_strengths(
            {name: 1.0 for name, stage in zip(self.names, self.stages, strict=True) if stage.strength == "auto"}
        )

    def with_noise_levels(self, levels: Mapping[str, float]) -> ChainConfig:
        """Return the chain with the noise levels of the named stages replaced.

        Raises:
            ConfigError: for a name that no stage has, a stage without noise level, or a level outside 0 to 75.
        """
        stages = dict(zip(self.names, self.stages, strict=True))
        for name, level in levels.items():
            if name not in stages:
                raise ConfigError(f"noise_level: {no_such_stage(name, self.names)}")
            stages[name] = _with_noise_level(name, stages[name], level)
        return ChainConfig(stages=tuple(stages.values()))

    def weights_hashes(self) -> dict[str, str]:
        """Return the SHA-256 of every file that changes pixels: of weights by stage name, of others by option too."""
        return {
            name if option == "weights" else f"{name}.{option}": _sha256(path)
            for name, stage in zip(self.names, self.stages, strict=True)
            for option, path in stage.files().items()
        }

    def fingerprint(self) -> str:
        """Return a SHA-256 that changes with every option and every weight that changes pixels.

        Where files lie does not count, only their bytes; neither do tile size and back end, whose results agree
        within a tested bound, nor the precision, which is compared by itself.
        """
        options = [stage.model_dump(mode="json", exclude={"weights", *stage.files()}) for stage in self.stages]
        chosen = [tables_sha256()] if any(stage.strength == "auto" for stage in self.stages) else []
        content = json.dumps([options, self.weights_hashes(), *chosen], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def load_chain_config(path: Path, untrained: str | None = None, *, up_to_it: bool = False) -> ChainConfig:
    """Read a chain and find its weights.

    ``weights`` become absolute paths. Architecture options that the YAML leaves out are taken from the card
    of the weights.

    Args:
        path: The YAML.
        untrained: Name of a stage that is about to be trained; its weights are not read and become None.
        up_to_it: Leave out the stages after the untrained one, whose weights may be missing as well.

    Raises:
        ConfigError: with one line per error, those of the weights included; or if no stage is named ``untrained``.
    """
    document = read_document(path)
    data, weights_problems = _with_weights(document, untrained, up_to_it=up_to_it)
    config, problems = check(document, data, ChainConfig)
    reported = {problem.location for problem in problems}
    problems += [problem for problem in weights_problems if problem.location not in reported]
    for index, stage in enumerate(config.stages if config else ()):
        if text := _problem_with(stage.strength, stage):
            problems.append(document.problem(("stages", index, "strength"), text))
    if config is None or problems:
        raise document.error(problems)
    return config


def takes_noise_level(stage: StageConfig) -> bool:
    """Return whether a stage can be given the noise level."""
    return isinstance(stage, TemporalDenoiseConfig) or (isinstance(stage, DnCNNConfig) and stage.noise_level_input)


def _problem_with(strength: StageStrength, stage: AnyStageConfig) -> str | None:
    if strength == "auto":
        missing = table_of(stage) is None
        return f"got auto, but nothing is known of {stage.stage}; expected a number from 0 to 1" if missing else None
    return None if 0 <= strength <= 1 else f"got {strength}, expected a number from 0 to 1, or auto"


def _with_noise_level(name: str, stage: AnyStageConfig, level: float) -> AnyStageConfig:
    if not takes_noise_level(stage):
        raise ConfigError(f"noise_level: {name}: got {level:g}, but the stage takes no noise level; leave it out")
    if not 0 <= level <= 75:
        raise ConfigError(f"noise_level: {name}: got {level:g}, expected a number from 0 to 75")
    return stage.model_copy(update={"noise_level": level})


def _numbered(tags: Iterable[str]) -> tuple[str, ...]:
    """Number tags from the second of a kind."""
    met: Counter[str] = Counter()
    names = []
    for tag in tags:
        met[tag] += 1
        names.append(tag if met[tag] == 1 else f"{tag}_{met[tag]}")
    return tuple(names)


def no_such_stage(name: str, names: Sequence[str]) -> str:
    """Return the text of an error about a name that no stage of a chain has."""
    return f"the chain has no stage {name!r}{did_you_mean(name, names)} Its stages: {', '.join(names)}"


def _with_weights(
    document: YamlDocument, untrained: str | None, *, up_to_it: bool
) -> tuple[dict[str, Any], list[ConfigProblem]]:
    """Return the document's content with all weights resolved, and what is wrong with the weights."""
    entries = document.data.get("stages")
    if not isinstance(entries, list):
        return document.data, []
    names = _numbered(str(entry.get("stage")) if isinstance(entry, dict) else "" for entry in entries)
    if untrained is not None and untrained not in names:
        raise ConfigError(f"{document.path}: {no_such_stage(untrained, names)}")
    filled: list[Any] = entries[: names.index(untrained) + 1] if untrained and up_to_it else list(entries)
    problems: list[ConfigProblem] = []
    for index, (name, entry) in enumerate(zip(names, filled, strict=False)):
        if isinstance(entry, dict) and name == untrained:
            filled[index] = {key: value for key, value in entry.items() if key != "weights"}
        elif isinstance(entry, dict):
            filled[index], wrong = _fill_from_card(entry, document.path.parent)
            problems += [document.problem(("stages", index, key), text) for key, text in wrong.items()]
    return {**document.data, "stages": filled}, problems


def _fill_from_card(entry: dict[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Complete one stage of the YAML from its weights' card; return it and the problems by key.

    Values of a wrong type are left alone: the validation that follows reports them.
    """
    tag, weights = entry.get("stage"), entry.get("weights")
    stage = STAGES.get(tag) if isinstance(tag, str) else None
    if stage is SpandrelConfig and isinstance(weights, str):
        return _with_published_options(entry, weights, folder), {}
    if stage is None or not issubclass(stage, LearnedStageConfig):
        return entry, {}
    if weights is None:
        shipped = ", ".join(shipped_weights()) or "none"
        text = f"missing; {tag} has to be trained: expected a shipped name ({shipped}) or a path"
        return entry, {"weights": text}
    if not isinstance(weights, str):
        return entry, {}
    try:
        path = resolve(weights, folder)
        trained = _trained_options(stage, str(tag), path)
    except WeightsError as error:
        return entry, {"weights": " ".join(str(error).split())}
    differing = {
        key: f"got {entry[key]!r}, but the weights {path.name} were trained with {value!r}; leave the key out"
        for key, value in trained.items()
        if key in entry and entry[key] != value and key not in stage.run_options
    }
    return {**trained, **entry, "weights": str(path)}, differing


def _with_published_options(entry: dict[str, Any], weights: str, folder: Path) -> dict[str, Any]:
    """Complete a stage by the options of its catalogue entry, if it names one; validation reports what is wrong."""
    try:
        path = resolve(weights, folder)
        published = read_entry(path).options if is_entry(path) else {}
    except WeightsError:
        return entry
    return {**published, **entry, "weights": str(path)}


def _sha256(path: Path) -> str:
    return known_sha256(path, read_entry(path)) if is_entry(path) else sha256_of(path)


def _trained_options(stage: type[LearnedStageConfig], tag: str, path: Path) -> dict[str, Any]:
    """Read from a weights file which architecture it was trained with."""
    card = read_card(path)
    came = card.config.get("stage")
    if came != tag:
        raise WeightsError(f"{path} holds weights of stage {came!r}, expected {tag!r}")
    try:
        return stage.model_validate(card.config).architecture()
    except ValidationError as error:
        options = ", ".join(str(detail["loc"][-1]) for detail in error.errors() if detail["loc"])
        text = f"{path} has a card with options that {tag} does not take: {options}"
        raise WeightsError(text) from error
