"""Name the results, and refuse results of one name."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from pipeline.batch.job import Job, LeftOut
from pipeline.batch.search import Found
from pipeline.images import READABLE, WRITABLE
from pipeline.video.options import READABLE as VIDEOS
from pipeline.video.options import VideoOptions

_RAW = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf"}
    | {".pef", ".raf", ".raw", ".rw2", ".rwl", ".srf", ".srw", ".x3f"}
)
_SOUND = frozenset({".aac", ".aif", ".aiff", ".amr", ".flac", ".m4a", ".mid", ".mp3", ".ogg", ".opus", ".wav", ".wma"})
_ARCHIVES = frozenset({".7z", ".cb7", ".cbr", ".cbt", ".cbz", ".gz", ".rar", ".tar", ".tgz", ".zip"})
_DOCUMENTS = frozenset(
    {".ai", ".doc", ".docx", ".eps", ".indd", ".odt", ".pdf", ".ppt", ".pptx", ".psb", ".psd", ".svg", ".xcf"}
)


def wrong_names(output: Path, ext: str | None, suffix: str) -> Iterator[str]:
    """Yield an error for each option that no results can be named by."""
    if output.exists() and not output.is_dir():
        yield f"output: {output} is a file, expected a folder"
    elif output.suffix.lower() in READABLE | VIDEOS and not output.exists():
        yield f"output: got the file name {output}, expected a folder; file names follow the inputs'"
    if ext is not None and _dotted(ext) not in WRITABLE:
        hint = "; the type of videos is the container" if _dotted(ext) in VIDEOS else ""
        yield f"ext: got {ext!r}, expected one of {', '.join(sorted(name[1:] for name in WRITABLE))}{hint}"
    if "\0" in suffix or Path(f"name{suffix}").name != f"name{suffix}":
        yield f"suffix: got {suffix!r}, expected a part of a file name, such as _x2"


def entry_for(found: Found, output: Path, ext: str | None, suffix: str, video: VideoOptions) -> Job | LeftOut:
    """Return the job of a file that was found, with the path of its result, or why it is left out."""
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
    if source.suffix.lower() in READABLE:
        return Job(source, relative, target(relative.stem, _dotted(ext) if ext else _own_suffix(relative)), "image")
    if named:
        return LeftOut(source, "refused", _advice(source.suffix))
    return LeftOut(source, "ignored")


def _advice(suffix: str) -> str:
    """Return why a file of a suffix is not restored, and what to do."""
    known = suffix.lower()
    what = f"{suffix!r} is not the suffix of an image or video that can be read"
    if known in _RAW:
        return f"{what}, but of a camera's raw data; develop it to TIFF first"
    if known in _SOUND:
        return f"{what}, but of sound, of which nothing is restored"
    if known in _ARCHIVES:
        return f"{what}, but of an archive; unpack it first"
    if not known:
        return "has no suffix; rename it, with that of its format, such as .jpg or .mp4"
    if known in _DOCUMENTS:
        return f"{what}; export its pages or layers as PNG or TIFF first"
    return f"{what}; convert it to PNG, TIFF or MP4 first, if it is one"


def _video_suffix(source: Path, video: VideoOptions) -> str:
    """Return the suffix of a restored video; libav is imported only if there is one."""
    from pipeline.video.container_choice import suffix_with_sound

    return suffix_with_sound(source, video)


def _own_suffix(path: Path) -> str:
    """Keep a suffix that can be written; otherwise take the nearest that loses nothing."""
    if path.suffix.lower() in WRITABLE:
        return path.suffix
    return ".tif" if path.suffix.lower() == ".pfm" else ".png"  # PNG holds no floats


def with_suffixes(entries: Iterable[Job | LeftOut]) -> list[Job | LeftOut]:
    """Keep the source's suffix in names that would clash: ``a.gif`` beside ``a.png`` gives ``a.gif.png``.

    A result with its source's suffix keeps its name, so that it does not depend on what else is there. Names clash on
    every disk that clash on one (``alike``), so that results can be copied.
    """
    listed = list(entries)
    taken = Counter(alike(entry.target) for entry in listed if isinstance(entry, Job))

    def renamed(entry: Job | LeftOut) -> Job | LeftOut:
        if not isinstance(entry, Job) or taken[alike(entry.target)] < 2 or entry.kind == "frames":
            return entry
        if entry.source.suffix == entry.target.suffix:
            return entry
        other = with_suffix(entry)
        return entry if alike(other.target) in taken else other

    return [renamed(entry) for entry in listed]


def with_suffix(job: Job) -> Job:
    """Return a job whose result keeps the suffix of its source in its name."""
    stem = job.relative.stem
    name = f"{stem}{job.source.suffix}{job.target.name.removeprefix(stem)}"
    return replace(job, target=job.target.with_name(name))


def clashes(jobs: list[Job], output: Path) -> Iterator[str]:
    """Yield an error for each target that would be written twice or is an input."""
    sources = {os.path.realpath(job.source) for job in jobs}
    for group in _clashing({job: job.target for job in jobs}, output):
        names = " and ".join(str(job.source) for job in group)
        disk = ", on a disk that ignores case" if len({job.target for job in group}) > 1 else ""
        yield f"{names} would both be written to {group[0].target}{disk}; restore them into different folders"
    for job in jobs:
        if os.path.realpath(job.target) in sources:
            yield f"{job.source} would be written over the input {job.target}; use another output or a suffix"


def clashing_frames(jobs: list[Job], folder: Path) -> Iterator[str]:
    """Yield an error for videos whose frames would share a folder: results of different types may share the stem."""
    places = {job: frames_place(job, folder) for job in jobs if job.kind != "image"}
    for group in _clashing(places, folder):
        names = " and ".join(str(job.source) for job in group)
        yield f"frames_out: frames of {names} would both go to {places[group[0]]}; restore them one by one"


def frames_place(job: Job, folder: Path) -> Path:
    """Return the folder for the frames of a video, below the folder of all frames."""
    return folder / job.relative.with_name(job.target.stem)


def alike(path: Path) -> str:
    """Return a key that is equal for paths which are one on disks that ignore case, or how accents are stored."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def ignores_case(folder: Path) -> bool:
    """Return whether the disk of a folder, which need not exist, opens files by names in the other case."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    try:
        with NamedTemporaryFile(dir=existing, prefix=".case") as file:
            return Path(file.name).with_name(Path(file.name).name.upper()).exists()
    except OSError:
        return False  # nothing can be written there, which will be said


def _clashing(places: Mapping[Job, Path], folder: Path) -> Iterator[list[Job]]:
    """Yield the jobs that share a place on the disk of a folder."""
    groups, by_alike = _grouped(places, str), _grouped(places, alike)
    if len(by_alike) < len(groups) and ignores_case(folder):
        groups = by_alike
    yield from (group for group in groups if len(group) > 1)


def _grouped(places: Mapping[Job, Path], key: Callable[[Path], str]) -> list[list[Job]]:
    groups: dict[str, list[Job]] = defaultdict(list)
    for job, place in places.items():
        groups[key(place)].append(job)
    return list(groups.values())


def _dotted(ext: str) -> str:
    return "." + ext.lower().removeprefix(".")
