"""What `restore` is given, files or objects: what is behind the inputs, and where results and the run log go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.batch.job import Job, LeftOut, ObjectJob
from pipeline.batch.object_run_log import ObjectRunLog
from pipeline.batch.output import reserved
from pipeline.batch.plan import plan
from pipeline.batch.run_log import RunLog, split_paths
from pipeline.batch.shard import Shard
from pipeline.cli.video_options import notes_on_image_options, refuse_without_videos
from pipeline.errors import ConfigError
from pipeline.storage.objects import is_url

if TYPE_CHECKING:
    from pipeline.video.options import VideoOptions


@dataclass(frozen=True)
class PlannedInputs:
    """The inputs of a run.

    Attributes:
        entries: What to do.
        total: How many they are; None where they are listed while they are restored.
        images: Whether there may be images among them.
        videos: Whether there may be videos among them.
        notes: On options that do not apply to all of them.
    """

    entries: Iterable[Job | ObjectJob | LeftOut]
    total: int | None
    images: bool
    videos: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Places:
    """Where results, the run log and the report go.

    Attributes:
        output: The folder of the results, or the URL of a prefix.
        report: The HTML report, if there is one.
        log: The run log; None for one beside the results in a storage.
    """

    output: Path | str
    report: Path | None
    log: Path | None

    @contextmanager
    def opened(self, shard: Shard | None) -> Iterator[RunLog | ObjectRunLog]:
        """Keep other runs out of the folder, and hand out the run log."""
        if isinstance(self.output, str):
            log = ObjectRunLog(self.output) if self.log is None else RunLog(self.log)
            try:
                yield log
            finally:
                log.close()
            return
        assert self.log is not None
        with reserved(self.output, shard):
            log = RunLog(self.log)
            try:
                yield log
            finally:
                log.close()


def find_places(output: str, reports: Sequence[Path], shard: Shard | None) -> Places:
    """Return where everything goes.

    Raises:
        ConfigError: for two reports of a kind.
    """
    log, page = split_paths(reports, Path(output), shard)
    if not is_url(output):
        return Places(Path(output), page, log)
    return Places(output, page, log if log in reports else None)


def plan_inputs(
    inputs: Sequence[str],
    output: str,
    ext: str | None,
    suffix: str,
    chosen: VideoOptions,
    given: Mapping[str, Any],
    shard: Shard | None,
) -> PlannedInputs:
    """List what is behind the inputs.

    Args:
        inputs: Files, folders and globs, or a URL.
        output: A folder or URL.
        ext: As of ``plan``, like the next two.
        suffix: Likewise.
        chosen: Likewise.
        given: The options of the command line by name, of which some are refused without videos.
        shard: Only this share.

    Raises:
        ConfigError: as ``plan`` and ``plan_objects``.
    """
    if any(map(is_url, (*inputs, output))):
        from pipeline.batch.object_plan import plan_objects

        if is_url(output) and given["reference"]:
            raise ConfigError(f"reference: scores are written to a folder, expected one as output, got {output}")
        listed = plan_objects(inputs, output, ext=ext, suffix=suffix, video=chosen)
        return PlannedInputs(_shared(listed, shard), None, images=True, videos=True)
    entries = list(_shared(plan(inputs, Path(output), ext=ext, suffix=suffix, video=chosen), shard))
    jobs = [entry for entry in entries if isinstance(entry, Job)]
    if shard is None or jobs:
        refuse_without_videos(jobs, given)
    notes = notes_on_image_options(jobs, {"--ext": ext, "--save-stages": given["save_stages"]})
    kinds = {job.kind == "image" for job in jobs}
    return PlannedInputs(entries, len(entries), images=True in kinds, videos=False in kinds, notes=tuple(notes))


def _shared(entries: Iterable[Job | ObjectJob | LeftOut], shard: Shard | None) -> Iterator[Job | ObjectJob | LeftOut]:
    """Yield the share of this run; what is left out is reported by the first one."""
    for entry in entries:
        mine = shard is None or (shard.number == 1 if isinstance(entry, LeftOut) else shard.holds(entry.relative))
        if mine:
            yield entry
