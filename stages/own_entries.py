"""Add weights to a user's own catalogue: verify that a network takes them, and fix their SHA-256."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from stages.catalogue.cache import cache_folder, place_of, progress_bar
from stages.catalogue.download import download
from stages.catalogue.entry import PURPOSES, SUFFIX, Entry, entry_paths, own_folder, read_entry, write_entry
from stages.errors import WeightsError
from stages.foreign import Spandrel, load_descriptor
from stages.options import config_with
from stages.profile import count_parameters
from stages.stage import Stage
from stages.weights import load_published, shipped_weights


def add_entry(
    source: str,
    name: str | None = None,
    *,
    stage: str | None = None,
    options: Sequence[str] = (),
    sha256: str | None = None,
    purpose: str = "denoise",
    licence: str = "unknown",
    origin: str = "",
) -> Path:
    """Write an entry for a file or a URL, and return its path.

    Args:
        source: A published state_dict. A file stays where it is; what a URL gives goes to the cache.
        name: In the catalogue; by default, the file's. It must not be that of shipped weights, or of an entry whose
            SHA-256 is known.
        stage: What runs it; by default, what the catalogue's entry of that name says.
        options: Of the stage, as ``depth=17``.
        sha256: Of the file; by default, that of what is there now.
        purpose: One of ``PURPOSES``.
        licence: SPDX name or text.
        origin: Who published it.

    Raises:
        WeightsError: if the name is taken, the file is another than the SHA-256 says, or the network does not take it.
    """
    remote = _is_remote(source)
    name = name or Path(urlparse(source).path if remote else source).stem
    entry = _known_entry(name) if stage is None else _new_entry(stage, options, purpose, licence, origin)
    _refuse_name(name)
    path = own_folder() / f"{name}{SUFFIX}"
    with _content(name, source) as file:
        facts = _facts_of(file, entry, sha256)
        entry = entry.model_copy(update={**facts, "urls": [source if remote else str(file)]})
        if remote:
            file.replace(place_of(path, entry))
    write_entry(path, entry)
    return path


def _is_remote(source: str) -> bool:
    return urlparse(source).scheme in ("http", "https")


def _refuse_name(name: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise WeightsError(f"name: got {name!r}, expected letters, digits, '_', '-' and '.'")
    taken = shipped_weights().get(name) or entry_paths().get(name)
    if taken is not None and (taken.suffix != SUFFIX or read_entry(taken).sha256 is not None):
        raise WeightsError(f"name: got {name!r}, which is {taken} already, expected another; or remove that first")


def _known_entry(name: str) -> Entry:
    if name not in entry_paths():
        raise WeightsError("stage: missing, expected the stage that runs the file, such as --stage spandrel")
    return read_entry(entry_paths()[name])


def _new_entry(stage: str, options: Sequence[str], purpose: str, licence: str, origin: str) -> Entry:
    if purpose not in PURPOSES:
        raise WeightsError(f"purpose: got {purpose!r}, expected one of {', '.join(PURPOSES)}")
    chosen = {} if stage == "spandrel" else config_with(stage, options).model_dump(exclude_defaults=True)
    facts = {"stage": stage, "options": chosen, "purpose": purpose, "licence": licence, "origin": origin}
    # Whoever adds a file knows what it may be used for. The URL is filled in once the file is found right.
    return Entry.model_validate({**facts, "uses": "any", "urls": ["-"]})


@contextmanager
def _content(name: str, source: str) -> Iterator[Path]:
    """Hand out the file that a source gives; what was downloaded and not moved is deleted afterwards."""
    if not _is_remote(source):
        yield Path(source).resolve()
        return
    target = cache_folder() / f".{name}.unverified{Path(urlparse(source).path).suffix or '.pth'}"
    target.unlink(missing_ok=True)
    try:
        with progress_bar() as progress:
            download([source], target, size=None, sha256=None, progress=progress)
        yield target
    finally:
        target.unlink(missing_ok=True)


def _facts_of(file: Path, entry: Entry, sha256: str | None) -> dict[str, Any]:
    """Return the facts that the file itself shows; a file of another SHA-256, or for another network, is refused."""
    try:
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{file}: {error.strerror or error}") from error
    if sha256 not in (None, found):
        raise WeightsError(f"sha256: {file.name} has {found}, expected {sha256}")
    stage = _loaded(entry, file)
    size = file.stat().st_size
    return {"size": size, "sha256": found, "scale": stage.scale, "parameters": count_parameters(stage)}


def _loaded(entry: Entry, file: Path) -> Stage:
    if entry.stage == "spandrel":
        return Spandrel(load_descriptor(file), halo=None)
    stage = config_with(entry.stage, [f"{name}={value}" for name, value in entry.options.items()]).build()
    load_published(stage, file)
    return stage
