"""The run log of a batch: one JSON line per input. Lines are only ever appended, and the next run reads them.

A run that was killed leaves at most one torn line. Reading skips it, and writing starts a new line after it.
"""

from __future__ import annotations

import io
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.batch.earlier import EarlierResults, FinishedResult, made_of
from pipeline.batch.record import Record
from pipeline.batch.shard import Shard
from pipeline.errors import ConfigError, needing_space
from pipeline.system_files import RUN_LOG, run_logs_in

Origin = tuple[str, ...]
"""An output and its hash, and what it was made from: the input's hash and the chain's fingerprint."""


class RunLog:
    """A run log: what earlier runs have finished, and a place for this run's records.

    The run logs beside it, of the whole and of its shards, are read, too.

    Raises:
        ConfigError: if the path cannot be a run log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: io.FileIO | None = None
        self._finished: dict[str, list[FinishedResult]] = defaultdict(list)
        for record in chain.from_iterable(map(_read_done, (path, *_others(path)))):
            self._finished[str(record.get("output"))].append(FinishedResult.of(record))

    def earlier(self, output: str | None) -> EarlierResults:
        """Return what earlier runs wrote to a path, which is relative to the folder of the results."""
        return EarlierResults(str(self.path), tuple(self._finished.get(str(output), ())))

    def append(self, record: Record) -> None:
        """Write one line at once; what is done is on the disk before this returns."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(self.path, "a+")
        with needing_space():
            self._file.write(self._newline_if_torn() + record.line())
            if record.status == "done":
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, if anything was written."""
        if self._file is not None:
            self._file.close()

    def _newline_if_torn(self) -> bytes:
        assert self._file is not None
        if self._file.seek(0, os.SEEK_END) == 0:
            return b""
        self._file.seek(-1, os.SEEK_END)
        return b"" if self._file.read(1) == b"\n" else b"\n"


def split_paths(paths: Sequence[Path], output: Path, shard: Shard | None = None) -> tuple[Path, Path | None]:
    """Return the run log and the HTML report, by suffix of what ``--report`` was given; None without the latter.

    Without one among the paths, the run log goes to ``output``; that of a shard under a name of its own.

    Raises:
        ConfigError: if there are two of a kind.
    """
    pages = [path for path in paths if path.suffix.lower() in (".html", ".htm")]
    logs = [path for path in paths if path not in pages]
    for kind, found in (("HTML report", pages), ("run log", logs)):
        if len(found) > 1:
            raise ConfigError(f"report: got {' and '.join(map(str, found))}, expected at most one {kind}")
    name = RUN_LOG if shard is None else f"{Path(RUN_LOG).stem}.{shard}{Path(RUN_LOG).suffix}"
    return logs[0] if logs else output / name, pages[0] if pages else None


def recall(path: Path, records: Sequence[Record]) -> list[Record]:
    """Complete the records of skipped inputs by what was recorded when they were restored.

    Args:
        path: The run log.
        records: Of all statuses; their order is kept.
    """
    skipped = {_origin(vars(record)) for record in records if record.status == "skipped"}
    earlier = {_origin(record): record for record in _read_done(path) if _origin(record) in skipped}
    return [
        _recalled(record, earlier.get(_origin(vars(record)), {})) if record.status == "skipped" else record
        for record in records
    ]


def _others(path: Path) -> list[Path]:
    """Return the other run logs beside one: those of the whole and of its shards."""
    if not path.name.startswith(Path(RUN_LOG).stem):
        return []
    return [other for other in run_logs_in(path.parent) if other != path]


def _origin(record: Mapping[str, Any]) -> Origin:
    return (str(record.get("output")), *made_of(record))


def _recalled(record: Record, earlier: dict[str, Any]) -> Record:
    kept = (
        "notes",
        "losses",
        "condition",
        "strengths",
        "seconds",
        "stage_seconds",
        "tile",
        "precision",
        "device",
        "input_size",
        "output_size",
        "blurs",
    )
    return replace(record, **{key: earlier[key] for key in kept if key in earlier})


def _read_done(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_dir():
        raise ConfigError(f"report: {path} is a folder, expected a file")
    if not path.exists():
        return
    if not path.is_file():  # a device may never end
        raise ConfigError(f"report: {path} is no file, expected a place for one")
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:  # torn, or not ours
                continue
            if isinstance(record, dict) and record.get("status") == "done":
                yield record
