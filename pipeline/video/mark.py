"""Folders that are marked with the job that fills them, so that no other goes on with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pipeline.errors import needing_space

_MARK = ".job.json"


def is_marked(folder: Path, job: str) -> bool:
    """Tell whether a folder is of this very job."""
    return was_marked(folder) and (folder / _MARK).read_text(encoding="utf-8") == json.dumps(job)


def was_marked(folder: Path) -> bool:
    """Tell whether a folder is of any job."""
    return (folder / _MARK).is_file()


def unmark(folder: Path) -> None:
    """Leave a folder, if it is there, to no job."""
    (folder / _MARK).unlink(missing_ok=True)


def mark_anew(folder: Path, job: str) -> None:
    """Make a folder for a job; what was in it is removed.

    Raises:
        OutOfSpace: if the disk is full.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with needing_space():
        folder.mkdir(parents=True)
        (folder / _MARK).write_text(json.dumps(job), encoding="utf-8")
