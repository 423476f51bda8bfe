"""Where a file or folder is written first, so that it appears at its place whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_NAME = 255


def working_path(path: Path, ending: str) -> Path:
    """Return where a file or folder is written first: a hidden path beside it, always the same for the next run."""
    name = f".{path.name}{ending}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}{ending}"
    return path.with_name(name)


def partial_folder(target: Path) -> Path:
    """Return the hidden folder in which a result is written first."""
    return working_path(target, ".partial")


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Make a result's folder, and remove it with all that is left in it."""
    folder = partial_folder(target)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
