"""List the objects behind the inputs, one by one: their number may exceed the memory, so none is compared with others.

Therefore a result whose type is not its source's keeps the source's suffix in its name, whether or not another would
share the name: ``a.gif`` becomes ``a.gif.png``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from pipeline.batch.job import Job, LeftOut, ObjectJob
from pipeline.batch.plan import plan
from pipeline.batch.search import Found
from pipeline.batch.targets import entry_for, with_suffix, wrong_names
from pipeline.errors import ConfigError, ImageError
from pipeline.storage.objects import is_url, joined, list_objects
from pipeline.system_files import is_system_name
from pipeline.video.options import VideoOptions

_NOWHERE = Path("nowhere")


def plan_objects(
    inputs: Sequence[str], output: str, *, ext: str | None, suffix: str, video: VideoOptions
) -> Iterator[ObjectJob | LeftOut]:
    """List what is behind ``inputs``, files or objects, with the places of the results, files or objects.

    Args:
        inputs: As of ``plan``; or one URL of an object or prefix.
        output: A folder, or the URL of a prefix.
        ext: As of ``plan``, like all that follow.
        suffix: Likewise.
        video: Likewise.

    Raises:
        ConfigError: as ``plan``; or if there is nothing at the URL, or the storage refuses.
    """
    if not any(map(is_url, inputs)):
        planned = plan(inputs, _NOWHERE, ext=ext, suffix=suffix, video=video)
        return (_stored(entry, str(entry.source), output) if isinstance(entry, Job) else entry for entry in planned)
    if len(inputs) > 1:
        raise ConfigError(f"got {len(inputs)} INPUTs of which one is a URL, expected that one alone")
    if video.fps is not None:
        raise ConfigError(f"fps: the frames of a video are expected in a folder, got {inputs[0]}")
    if problems := list(wrong_names(_NOWHERE, ext, suffix)):
        raise ConfigError("\n".join(problems))
    return _listed(inputs[0], output, ext, suffix, video)


def _listed(url: str, output: str, ext: str | None, suffix: str, video: VideoOptions) -> Iterator[ObjectJob | LeftOut]:
    keys = list_objects(url)
    try:
        first = next(keys, None)
    except ImageError as error:
        raise ConfigError(str(error)) from error
    if first is None:
        raise ConfigError(f"{url}: no such object, and none below it")
    return (
        _entry(joined(url, key) if key else url, key or url.rpartition("/")[2], output, ext, suffix, video)
        for key in chain([first], keys)
        if not _is_left_alone(key, url, output)
    )


def _entry(url: str, key: str, output: str, ext: str | None, suffix: str, video: VideoOptions) -> ObjectJob | LeftOut:
    entry = entry_for(Found(Path(key), Path(key), named=False), _NOWHERE, ext, suffix, video)
    if isinstance(entry, LeftOut):
        return LeftOut(url, entry.status, entry.error)
    return _stored(entry if entry.source.suffix == entry.target.suffix else with_suffix(entry), url, output)


def _stored(job: Job, source: str, output: str) -> ObjectJob:
    name = job.target.relative_to(_NOWHERE).as_posix()
    target = joined(output, name) if is_url(output) else str(Path(output) / name)
    return ObjectJob(source, job.relative, target, name, job.kind)


def _is_left_alone(key: str, url: str, output: str) -> bool:
    """Return whether a key is hidden, a system's own, or a result of this very run."""
    below_output = is_url(output) and joined(url, key).startswith(joined(output, ""))
    return below_output or any(is_system_name(part) for part in key.split("/") if part)
