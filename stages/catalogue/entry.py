"""Entries of the catalogue: one YAML file for each published weights file, named as chains name it.

The package's own entries lie in ``entries``. A user's lie in a folder of their data, which ``RESTORECHAIN_CATALOGUE``
overrules, or anywhere else, such as beside a chain that names the file itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.errors import WeightsError

PACKAGE_FOLDER = Path(__file__).parent / "entries"
SUFFIX = ".yaml"

Purpose = Literal["denoise", "deblur", "jpeg", "upscale"]
PURPOSES: tuple[str, ...] = get_args(Purpose)

# Multiply-accumulates in billions for an image of 640x360, up to which a network belongs to a class.
_SPEED_CLASSES = {"fast": 100.0, "medium": 600.0, "slow": 2000.0}


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Figure(_Facts):
    """What its authors, or someone who measured it, published."""

    psnr: float = Field(gt=0, description="dB")
    protocol: str = Field(min_length=1, description="test set first, then colours, degradation and source")


class Entry(_Facts):
    """What is known of a published weights file."""

    stage: str = Field(description="the stage that runs it")
    options: dict[str, Any] = Field(default_factory=dict, description="of the stage, where they differ from its own")
    purpose: Purpose = Field(description="what it is for")
    scale: int = Field(1, ge=1, description="output pixels per input pixel and axis")
    trained_for: str = Field("", description="the degradation it removes")
    size: int | None = Field(None, ge=1, description="bytes")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="of the file; without it none is downloaded")
    confirmed: bool = Field(False, description="two independent sources, or its authors, name that SHA-256")
    urls: list[str] = Field(min_length=1, description="tried in turn; http(s), or a path relative to the entry")
    licence: str = Field(min_length=1, description="SPDX name, or what its authors say")
    uses: Literal["any", "restricted", "unclear"] = Field("unclear", description="what the licence allows")
    origin: str = Field("", description="who trained and who published it")
    parameters: int | None = Field(None, ge=1, description="trained numbers")
    gmacs: float | None = Field(None, gt=0, description="10^9 multiply-accumulates for an image of 640x360")
    figure: Figure | None = Field(None, description="published quality")
    caution: str = Field("", description="what to know before it is used")

    @property
    def speed(self) -> str:
        """The speed class of the network; ``-`` if its work is not known."""
        return "-" if self.gmacs is None else speed_class(self.gmacs)

    @property
    def megabytes(self) -> str:
        """The file's size for a message: ``68.7 MB``."""
        return "size unknown" if self.size is None else f"{self.size / 1e6:.1f} MB"

    @property
    def terms(self) -> str:
        """Licence and origin for a message: ``MIT; Chen et al. 2022, megvii-research/NAFNet``."""
        return "; ".join(filter(None, (self.licence, self.origin)))


def speed_class(gmacs: float) -> str:
    """Return fast, medium, slow or slowest, by 10^9 multiply-accumulates for an image of 640x360."""
    return next((name for name, limit in _SPEED_CLASSES.items() if gmacs <= limit), "slowest")


def own_folder() -> Path:
    """Return where a user's own entries lie."""
    from platformdirs import user_data_path

    chosen = os.environ.get("RESTORECHAIN_CATALOGUE")
    return Path(chosen) if chosen else user_data_path("restorechain") / "catalogue"


def entry_paths() -> dict[str, Path]:
    """Return all entries' files by name; a user's own come before the package's of the same name."""
    found = [*sorted(PACKAGE_FOLDER.glob(f"*{SUFFIX}")), *sorted(own_folder().glob(f"*{SUFFIX}"))]
    return {path.stem: path for path in found}


def entries(purpose: str | None = None) -> Iterator[tuple[Path, Entry]]:
    """Yield the files of entries and their content, those for a purpose only if one is given.

    Raises:
        WeightsError: for an unknown purpose, or a file that is no entry.
    """
    if purpose is not None and purpose not in PURPOSES:
        raise WeightsError(f"purpose: got {purpose!r}, expected one of {', '.join(PURPOSES)}")
    for path in entry_paths().values():
        entry = read_entry(path)
        if purpose in (None, entry.purpose):
            yield path, entry


def is_entry(path: Path) -> bool:
    """Return whether a path names a catalogue entry, and not weights themselves."""
    return path.suffix == SUFFIX


def read_entry(path: Path) -> Entry:
    """Read an entry.

    Raises:
        WeightsError: if the file is no entry; the message has a line for each fault.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        # By way of JSON, as a date or a set in the YAML is none of the types that an entry holds.
        return Entry.model_validate_json(json.dumps(content))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'content'}: {f['msg']}" for f in error.errors())
        raise WeightsError(f"{path} is no catalogue entry: {faults}") from error
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise WeightsError(f"{path} is no catalogue entry: {error}") from error


def write_entry(path: Path, entry: Entry) -> None:
    """Write an entry as YAML, without what is left at its default; the file appears whole or not at all."""
    from stages.atomic import written_whole

    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(entry.model_dump(exclude_defaults=True), sort_keys=False, allow_unicode=True, width=110)
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
