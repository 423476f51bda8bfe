"""Marker files that tie a folder of partial output to one job, so that only the same job resumes from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pipeline.errors import needing_space

_MARKER = ".job.json"


def is_marked_for(folder: Path, job: str) -> bool:
    """Return whether a folder holds the marker of this job."""
    return is_marked(folder) and (folder / _MARKER).read_text(encoding="utf-8") == json.dumps(job)


def is_marked(folder: Path) -> bool:
    """Return whether a folder holds the marker of any job."""
    return (folder / _MARKER).is_file()


def remove_marker(folder: Path) -> None:
    """Remove the job marker if present."""
    (folder / _MARKER).unlink(missing_ok=True)


def recreate_for(folder: Path, job: str) -> None:
    """Create an empty folder with the marker of a job; an existing folder is deleted first.

    Raises:
        OutOfSpace: if the disk is full.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with needing_space():
        folder.mkdir(parents=True)
        (folder / _MARKER).write_text(json.dumps(job), encoding="utf-8")
