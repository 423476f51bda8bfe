"""List the files behind the inputs and the path of each result; nothing is read or written yet."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.errors import ConfigError, suffixes_of
from pipeline.images import READABLE, WRITABLE
from pipeline.system_files import holds_results, is_system_name
from pipeline.video.options import READABLE as VIDEOS
from pipeline.video.options import VideoOptions


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
class LeftOut:
    """A file or folder behind an input that cannot be restored.

    Attributes:
        source: The file or folder, as the user would write it.
        status: ``ignored`` for a file in a folder that is no image or video by its suffix and for a folder that holds
            results of an earlier run, ``refused`` for such a file that was given itself, ``failed`` for a folder that
            cannot be listed.
        error: Why; None for files that are ignored.
    """

    source: Path
    status: Literal["ignored", "refused", "failed"]
    error: str | None = None


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
    wrong_options = list(_wrong_options(output, ext, suffix))
    problems = [*wrong_options]
    entries: dict[tuple[str, Path | None], Job | LeftOut] = {}  # the same file given twice is one job
    for text in inputs:
        found = list(_find(text, output)) if text else []
        if not any(file.named or file.kind == "closed" or _is_restorable(file.source) for file in found):
            problems.append(_nothing_found(text, output, [file.source for file in found]))
        if wrong_options:
            continue  # no names of results can be made of them
        for file in _gathered(found) if video.fps else found:
            entry = _entry(file, output, ext, suffix, video)
            target = entry.target if isinstance(entry, Job) else None
            entries.setdefault((os.path.realpath(file.source), target), entry)
    found_entries = _with_suffixes(entries.values())
    jobs = [entry for entry in found_entries if isinstance(entry, Job)]
    problems += _clashes(jobs)
    if video.frames_out is not None:
        problems += _clashing_frames(jobs, video.frames_out)
    if problems:
        raise ConfigError("\n".join(problems))
    return found_entries


def _entry(found: Found, output: Path, ext: str | None, suffix: str, video: VideoOptions) -> Job | LeftOut:
    source, relative, named, kind = found

    def target(stem: str, ending: str) -> Path:
        return output / relative.with_name(f"{stem}{suffix}{ending}")

    if kind == "closed":
        return LeftOut(source, "failed", "the folder cannot be listed; what is in it was left out")
    if kind == "results":
        return LeftOut(source, "ignored", "holds results of an earlier run, left out; give it itself to restore them")
    if kind == "frames":
        return Job(source, relative, target(relative.name, f"{video.part}{video.suffix_for(source)}"), "frames")
    if source.suffix.lower() in VIDEOS:
        return Job(source, relative, target(relative.stem, f"{video.part}{_video_suffix(source, video)}"), "video")
    if _is_readable(source):
        return Job(source, relative, target(relative.stem, _dotted(ext) if ext else _own_suffix(relative)), "image")
    if named:
        text = "is not the suffix of an image or video that can be read; convert it to PNG or TIFF first"
        return LeftOut(source, "refused", f"{source.suffix!r} {text}")
    return LeftOut(source, "ignored")


def _gathered(found: Iterable[Found]) -> Iterator[Found]:
    """Replace images by the folder that they are the frames of."""
    for file in found:
        if file.kind == "file" and not file.named and _is_readable(file.source):
            above = file.relative.parent
            place = above if above.name else Path(file.source.resolve().parent.name)
            yield Found(file.source.parent, place, named=True, kind="frames")
        else:
            yield file


def _wrong_options(output: Path, ext: str | None, suffix: str) -> Iterator[str]:
    if output.exists() and not output.is_dir():
        yield f"output: {output} is a file, expected a folder"
    elif output.suffix.lower() in READABLE | VIDEOS and not output.exists():
        yield f"output: got the file name {output}, expected a folder; file names follow the inputs'"
    if ext is not None and _dotted(ext) not in WRITABLE:
        hint = "; the type of videos is the container" if _dotted(ext) in VIDEOS else ""
        yield f"ext: got {ext!r}, expected one of {', '.join(sorted(name[1:] for name in WRITABLE))}{hint}"
    if "\0" in suffix or Path(f"name{suffix}").name != f"name{suffix}":
        yield f"suffix: got {suffix!r}, expected a part of a file name, such as _x2"


def _find(text: str, output: Path) -> Iterator[Found]:
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
        yield from _find(str(path), output)


def _is_below_system_folder(match: str, pattern: str) -> bool:
    return any(is_system_name(part) for part in set(Path(match).parts) - set(Path(pattern).parts))


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


def _video_suffix(source: Path, video: VideoOptions) -> str:
    """Return the suffix of a restored video; libav is imported only if there is one."""
    from pipeline.video.container_choice import suffix_with_sound

    return suffix_with_sound(source, video)


def _own_suffix(path: Path) -> str:
    """Keep a suffix that can be written; otherwise take the nearest that loses nothing."""
    if path.suffix.lower() in WRITABLE:
        return path.suffix
    return ".tif" if path.suffix.lower() == ".pfm" else ".png"  # PNG holds no floats


def _with_suffixes(entries: Iterable[Job | LeftOut]) -> list[Job | LeftOut]:
    """Keep the source's suffix in names that would clash: ``a.gif`` beside ``a.png`` gives ``a.gif.png``.

    A result with its source's suffix keeps its name, so that it does not depend on what else is there.
    """
    listed = list(entries)
    by_target: dict[Path, list[Job]] = defaultdict(list)
    for entry in listed:
        if isinstance(entry, Job):
            by_target[entry.target].append(entry)
    taken = set(by_target)

    def renamed(entry: Job | LeftOut) -> Job | LeftOut:
        if not isinstance(entry, Job) or len(by_target[entry.target]) < 2 or entry.kind == "frames":
            return entry
        if entry.source.suffix == entry.target.suffix:
            return entry
        stem = entry.relative.stem
        name = f"{stem}{entry.source.suffix}{entry.target.name.removeprefix(stem)}"
        target = entry.target.with_name(name)
        return entry if target in taken else replace(entry, target=target)

    return [renamed(entry) for entry in listed]


def _clashes(jobs: list[Job]) -> Iterator[str]:
    """Yield an error for each target that would be written twice or is an input."""
    sources = {os.path.realpath(job.source) for job in jobs}
    by_target: dict[Path, list[Job]] = defaultdict(list)
    for job in jobs:
        by_target[job.target].append(job)
    for target, group in by_target.items():
        names = " and ".join(str(job.source) for job in group)
        if len(group) > 1:
            yield f"{names} would both be written to {target}; restore them into different folders"
        elif os.path.realpath(target) in sources:
            yield f"{names} would be written over the input {target}; use another output or a suffix"


def _clashing_frames(jobs: list[Job], folder: Path) -> Iterator[str]:
    """Yield an error for videos whose frames would share a folder: results of different types may share the stem."""
    by_place: dict[Path, list[str]] = defaultdict(list)
    for job in jobs:
        if job.kind != "image":
            by_place[frames_place(job, folder)].append(str(job.source))
    for place, names in by_place.items():
        if len(names) > 1:
            yield f"frames_out: frames of {' and '.join(names)} would both go to {place}; restore them one by one"


def frames_place(job: Job, folder: Path) -> Path:
    """Return the folder for the frames of a video, below the folder of all frames."""
    return folder / job.relative.with_name(job.target.stem)


def _is_restorable(path: Path) -> bool:
    return path.suffix.lower() in READABLE | VIDEOS


def _is_readable(path: Path) -> bool:
    return path.suffix.lower() in READABLE


def _dotted(ext: str) -> str:
    return "." + ext.lower().removeprefix(".")
