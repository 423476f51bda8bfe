"""Find the files behind inputs: a file, a folder with all below it, a glob pattern."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.errors import ConfigError
from pipeline.images import READABLE
from pipeline.system_files import holds_results, is_system_name


class Found(NamedTuple):
    """What is behind an input: a file, or a folder: of frames, of results of ours, or one that cannot be listed.

    Attributes:
        source: As of ``Job``.
        relative: As of ``Job``.
        named: Whether the user gave this very file; otherwise it was found in a folder.
        kind: What it is.
    """

    source: Path
    relative: Path
    named: bool
    kind: Literal["file", "frames", "results", "closed"] = "file"


def find_files(text: str, output: Path) -> Iterator[Found]:
    """Yield all files behind one input, and the folders below it that cannot be listed."""
    path = Path(text)
    if path.is_dir():
        yield from _walk(path, output)
    elif path.exists():
        yield Found(path, Path(path.name), named=True)
    elif glob.has_magic(text):
        for match in sorted(glob.glob(text, recursive=True)):  # noqa: PTH207  (pathlib takes no absolute patterns)
            if match != text and not _is_below_system_folder(match, text):
                yield from _matched(Path(match), text, output)


def _matched(path: Path, pattern: str, output: Path) -> Iterator[Found]:
    """Yield what is behind a match of a pattern; nothing in the output, and not what earlier runs have made."""
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(output)):
        return
    spelled = Path(pattern).parts
    results = next((p for p in (path, *path.parents) if p.name and p.name not in spelled and holds_results(p)), None)
    if results is not None:
        yield Found(results, Path(results.name), named=False, kind="results")
    else:
        yield from find_files(str(path), output)


def _is_below_system_folder(match: str, pattern: str) -> bool:
    return any(is_system_name(part) for part in set(Path(match).parts) - set(Path(pattern).parts))


def _walk(folder: Path, output: Path) -> Iterator[Found]:
    """Yield all files below a folder in a stable order; each real folder once, so that links cannot loop.

    Folders below it that cannot be listed come at the end.
    """
    entered, closed = {os.path.realpath(output)}, list[Found]()

    def pass_over(error: OSError) -> None:
        if error.filename == os.fspath(folder):
            raise ConfigError(f"{folder}: the folder cannot be listed ({error.strerror})") from error
        path = Path(error.filename)
        closed.append(Found(path, path.relative_to(folder), named=False, kind="closed"))

    for parent, folders, files in os.walk(folder, followlinks=True, onerror=pass_over):
        real = os.path.realpath(parent)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        if parent != os.fspath(folder) and holds_results(Path(parent)):
            folders.clear()
            yield Found(Path(parent), Path(parent).relative_to(folder), named=False, kind="results")
            continue
        folders[:] = sorted(name for name in folders if not is_system_name(name))
        for path in (Path(parent, name) for name in sorted(files) if not is_system_name(name)):
            yield Found(path, path.relative_to(folder), named=False)
    yield from closed


def gather_frames(found: Iterable[Found]) -> Iterator[Found]:
    """Replace images by the folder that they are the frames of."""
    for file in found:
        if file.kind == "file" and not file.named and file.source.suffix.lower() in READABLE:
            above = file.relative.parent
            place = above if above.name else Path(file.source.resolve().parent.name)
            yield Found(file.source.parent, place, named=True, kind="frames")
        else:
            yield file
