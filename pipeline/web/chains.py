"""The chains that visitors choose from, with their settings, and how the choice is written for a terminal."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig, StageStrength, takes_noise_level
from pipeline.condition.strengths import table_of
from pipeline.errors import ConfigError
from pipeline.images import WRITABLE
from stages.stage import StageConfig

Kind = Literal["image", "video"]
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WebP", "tif": "TIFF", "avif": "AVIF"}
assert {f".{ext}" for ext in FORMATS} <= WRITABLE


class Settings(BaseModel):
    """What a visitor chose; names and numbers only, so that nothing in it can name a file of the server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain: str = Field(description="name of an offered chain; by default the first, or that of clips")
    strengths: dict[str, StageStrength] = Field({}, description="by the stage's name, 0 to 1 or auto; else the chain's")
    noise_levels: dict[str, float] = Field({}, description="in 8-bit gray levels, 0 to 75, instead of the measured")
    upscale: bool = Field(True, description="False leaves out the stages that make the image larger")
    format: str | None = Field(None, description="file type of restored images; each image's own by default")


@dataclass(frozen=True)
class Control:
    """What a visitor can set of one stage.

    Attributes:
        name: Of the stage in its chain.
        label: In words.
        strength: By default.
        measurable: Whether the strength can follow from what is measured.
        noise_level: By default, 0 where it is measured; None for a stage that takes none.
    """

    name: str
    label: str
    strength: StageStrength
    measurable: bool
    noise_level: float | None


@dataclass(frozen=True)
class OfferedChain:
    """A chain that visitors may choose.

    Attributes:
        name: Stem of its file.
        title: The first comment up to its colon; else the name in words.
        sentence: What the chain does: the first sentence of the first comment.
        scales: By the name of the stage.
    """

    name: str
    title: str
    sentence: str
    config: ChainConfig
    scales: dict[str, int]
    yaml: str

    @property
    def controls(self) -> list[Control]:
        """What can be set, stage by stage."""
        return [_control(name, stage) for name, stage in zip(self.config.names, self.config.stages, strict=True)]

    @property
    def upscale_is_optional(self) -> bool:
        """Whether leaving out the stages that upscale changes anything, and leaves something."""
        return 0 < len(self._kept(upscale=False)) < len(self.config.names)

    def configured(self, settings: Settings) -> ChainConfig:
        """Return the chain with a visitor's settings.

        Raises:
            ConfigError: for a setting that does not fit the chain.
        """
        kept = self._kept(upscale=settings.upscale)
        if not kept:
            raise ConfigError("upscale: every stage of the chain upscales, expected true")
        config = self.config.with_strengths(settings.strengths).with_noise_levels(settings.noise_levels)
        stages = zip(config.names, config.stages, strict=True)
        return ChainConfig(stages=tuple(stage for name, stage in stages if name in kept))

    def as_yaml(self, settings: Settings) -> str:
        """Return the chain's YAML with a visitor's settings; weights by name, never by a path of the server."""
        entries = yaml.safe_load(self.yaml)["stages"]
        chosen = []
        for name, entry in zip(self.config.names, entries, strict=True):
            if name in self._kept(upscale=settings.upscale):
                entry |= {key: Path(entry[key]).name for key in ("weights",) if key in entry}
                entry |= {"strength": settings.strengths[name]} if name in settings.strengths else {}
                entry |= {"noise_level": settings.noise_levels[name]} if name in settings.noise_levels else {}
                chosen.append(entry)
        return yaml.safe_dump({"stages": chosen}, sort_keys=False)

    def _kept(self, *, upscale: bool) -> list[str]:
        return [name for name in self.config.names if upscale or self.scales[name] == 1]


class Chains:
    """All chains that are offered, the first by default.

    Args:
        paths: Their files.
        clips: Offered, too, and the default of clips; else the first is.

    Raises:
        ConfigError: with the errors of all chains and weights.
    """

    def __init__(self, paths: Sequence[Path], clips: Path | None = None) -> None:
        offered = dict.fromkeys([*paths, *([] if clips is None else [clips])])
        self.by_name = {path.stem: _offered(path) for path in offered}
        first = next(iter(self.by_name))
        self.defaults: dict[Kind, str] = {"image": first, "video": first if clips is None else clips.stem}

    def find(self, name: str) -> OfferedChain:
        """Return a chain.

        Raises:
            ConfigError: for a name that is not offered.
        """
        if name not in self.by_name:
            raise ConfigError(f"chain: got {name!r}, expected one of {', '.join(self.by_name)}")
        return self.by_name[name]

    def parse(self, data: Any, kind: Kind) -> Settings:
        """Check a visitor's settings for a photo or a clip.

        Raises:
            ConfigError: for everything that is no setting.
        """
        try:
            settings = Settings.model_validate({"chain": self.defaults[kind], **data})
        except (TypeError, ValidationError) as error:
            lines = _lines(error) if isinstance(error, ValidationError) else ["expected an object"]
            raise ConfigError("\n".join(f"settings: {line}" for line in lines)) from None
        if settings.format is not None and settings.format not in FORMATS:
            raise ConfigError(f"format: got {settings.format!r}, expected one of {', '.join(FORMATS)}")
        if "chain" not in data:
            settings = self._without_the_other_kind(settings)
        self.find(settings.chain).configured(settings)
        return settings

    def _without_the_other_kind(self, settings: Settings) -> Settings:
        """Leave out what is set of stages that only the other kind's default chain has, as the command line does."""
        names = {name for chain in self.defaults.values() for name in self.by_name[chain].config.names}
        others = names - set(self.by_name[settings.chain].config.names)
        return settings.model_copy(
            update={
                "strengths": {name: value for name, value in settings.strengths.items() if name not in others},
                "noise_levels": {name: value for name, value in settings.noise_levels.items() if name not in others},
            }
        )


def command_line(file_name: str, settings: Settings) -> str:
    """Return the command that does the same with the chain's YAML saved as ``chain.yaml``."""
    file_name = f"./{file_name}" if file_name.startswith("-") else file_name
    words = ["restorechain", "restore", file_name, "-o", "restored", "-c", "chain.yaml"]
    return shlex.join(words + ([] if settings.format is None else ["--ext", settings.format]))


def _offered(path: Path) -> OfferedChain:
    chain = Chain.load(path)
    text = path.read_text(encoding="utf-8")
    title, sentence = described(path.stem, text)
    scales = {name: footprint.scale for name, footprint in zip(chain.names, chain.footprints, strict=True)}
    return OfferedChain(path.stem, title, sentence, chain.config, scales, text)


def described(name: str, text: str) -> tuple[str, str]:
    """Return the title and the sentence of a chain's first comment: ``# Fast: for a first look. Details ...``."""
    found = re.match(r"\s*((?:#.*\n)+)", text)
    words = " ".join(line.strip("# ") for line in found[1].splitlines()) if found else ""
    sentence = re.split(r"(?<=\.)\s", words, maxsplit=1)[0]
    title, colon, rest = sentence.partition(": ")
    if not colon or len(title) > 30:
        return name.replace("_", " "), sentence
    return title, rest[:1].upper() + rest[1:]


def _control(name: str, stage: StageConfig) -> Control:
    weights = stage.files()["weights"].stem if "weights" in stage.files() else name
    level = getattr(stage, "noise_level", "auto")
    label = weights.replace("_", " ")
    return Control(
        name,
        label[:1].upper() + label[1:],
        stage.strength,
        table_of(stage) is not None,
        (0.0 if level == "auto" else float(level)) if takes_noise_level(stage) else None,
    )


def _lines(error: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()]
