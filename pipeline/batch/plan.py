"""List the files behind the inputs and the path of each result; nothing is read or written yet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.batch.job import Job, LeftOut
from pipeline.batch.search import find_files, gather_frames
from pipeline.batch.targets import clashes, clashing_frames, entry_for, with_suffixes, wrong_names
from pipeline.errors import ConfigError, suffixes_of
from pipeline.images import READABLE
from pipeline.video.options import READABLE as VIDEOS
from pipeline.video.options import VideoOptions


def plan(
    inputs: Sequence[str],
    output: Path,
    *,
    ext: str | None = None,
    suffix: str = "",
    video: VideoOptions = VideoOptions(),  # noqa: B008  (frozen)
) -> list[Job | LeftOut]:
    """List the files behind ``inputs`` and their targets in the folder ``output``.

    Folders are searched with all folders below them, and their tree is kept. Left out are hidden files and folders,
    those of systems and network storage, ``output`` itself, and folders that hold results of an earlier run, unless
    they are given themselves. Where the results of files of one folder would share a name, each keeps its suffix in it:
    ``a.gif.png`` beside ``a.png``.

    Args:
        inputs: Files, folders and glob patterns.
        output: The folder for the results; need not exist.
        ext: Suffix of all results (``png``); without it each keeps its own, or gets ``.png`` if that cannot
            be written.
        suffix: Put behind the name's stem (``photo_x2.jpg``).
        video: Gives the container of videos; with ``fps``, images in a folder are the frames of one video.

    Raises:
        ConfigError: with one line per error: an input that does not exist, two that share a target in spite of their
            suffixes, a target that is itself an input, a folder without anything that can be restored.
    """
    wrong_options = list(wrong_names(output, ext, suffix))
    problems = [*wrong_options]
    entries: dict[tuple[str, Path | None], Job | LeftOut] = {}  # the same file given twice is one job
    for text in inputs:
        found = list(find_files(text, output)) if text else []
        if not any(file.named or file.kind == "closed" or _is_restorable(file.source) for file in found):
            problems.append(_nothing_found(text, output, [file.source for file in found]))
        if wrong_options:
            continue  # no names of results can be made of them
        for file in gather_frames(found) if video.fps else found:
            entry = entry_for(file, output, ext, suffix, video)
            target = entry.target if isinstance(entry, Job) else None
            entries.setdefault((os.path.realpath(file.source), target), entry)
    found_entries = with_suffixes(entries.values())
    jobs = [entry for entry in found_entries if isinstance(entry, Job)]
    problems += clashes(jobs, output)
    if video.frames_out is not None:
        problems += clashing_frames(jobs, video.frames_out)
    if problems:
        raise ConfigError("\n".join(problems))
    return found_entries


def _nothing_found(text: str, output: Path, others: list[Path]) -> str:
    if not text:
        return "got an empty INPUT, expected files, folders or globs"
    if os.path.realpath(text) == os.path.realpath(output):
        return f"output: {output} is also an input, expected another folder"
    if others:
        return f"{text}: no image or video that can be read, only files of {suffixes_of(others)}"
    if Path(text).is_dir():
        return f"{text}: no file in this folder, expected images or videos"
    return f"{text}: no such file, and nothing matches it; expected files, folders or globs"


def _is_restorable(path: Path) -> bool:
    return path.suffix.lower() in READABLE | VIDEOS
