"""Files that appear whole or not at all: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_NAME = 255


def working_path(path: Path, ending: str) -> Path:
    """Return where a file or folder is written first: a hidden path beside it, always the same for the next run."""
    name = f".{path.name}{ending}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}{ending}"
    return path.with_name(name)


def writing_path(path: Path) -> Path:
    """Return the hidden path beside a file to which it is written first; it keeps the suffix."""
    return working_path(path, f".writing{path.suffix}")


def partial_folder(target: Path) -> Path:
    """Return the hidden folder in which a result is written first."""
    return working_path(target, ".partial")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Hand out a hidden path beside ``path`` to write to; it takes the place of ``path`` once it is safe on the disk.

    It keeps the suffix, and its name follows from that of ``path``: what a killed run left, the next one writes over.
    Where anything is raised inside, nothing of it is left, and a file that was at ``path`` stays as it was.

    Raises:
        OSError: if it cannot be written.
    """
    temporary = writing_path(path)
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file's bytes are safe on the disk.

    Raises:
        OSError: if they cannot be written.
    """
    with path.open("rb+") as file:
        os.fsync(file.fileno())
