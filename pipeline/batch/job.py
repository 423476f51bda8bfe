"""What a batch makes of its inputs: the jobs to do, and the files and folders that are left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Job:
    """One input to restore.

    Attributes:
        source: The file, as the user would write it.
        relative: Its place below the folder that was given; the bare name of a file that was given itself.
        target: Path of the restored image or video.
        kind: ``frames`` is a folder whose images are the frames of one video.
    """

    source: Path
    relative: Path
    target: Path
    kind: Literal["image", "video", "frames"]


@dataclass(frozen=True)
class ObjectJob:
    """One input to restore, where it or its result is an object of a storage.

    Attributes:
        source: The URL, or the path of a file.
        relative: As of ``Job``.
        target: The URL of the result, or the path of a file.
        output: The same relative to the URL or folder of all results.
        kind: As of ``Job``.
    """

    source: str
    relative: Path
    target: str
    output: str
    kind: Literal["image", "video", "frames"]


@dataclass(frozen=True)
class LeftOut:
    """A file or folder behind an input that cannot be restored.

    Attributes:
        source: The file or folder, as the user would write it; or the URL of an object.
        status: ``ignored`` for a file in a folder that is no image or video by its suffix and for a folder that holds
            results of an earlier run, ``refused`` for such a file that was given itself, ``failed`` for a folder that
            cannot be listed.
        error: Why; None for files that are ignored.
    """

    source: Path | str
    status: Literal["ignored", "refused", "failed"]
    error: str | None = None
