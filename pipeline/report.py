"""The report of a batch: one JSON line per input. Lines are only ever appended, and the next run reads them.

A run that was killed leaves at most one torn line. Reading skips it, and writing starts a new line after it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import ConfigError, needing_space

if TYPE_CHECKING:
    from pipeline.engine.engine import Restoration
    from pipeline.video.device import Account

Status = Literal["pending", "done", "skipped", "failed", "refused", "ignored"]
Figures = dict[str, float]
Origin = tuple[str, ...]
"""An output and its hash, and what it was made from: the input's hash and the chain's fingerprint."""


@dataclass(frozen=True)
class Quality:
    """How near an input's pictures come to its reference.

    Attributes:
        reference: The file; None where there is not exactly one.
        figures: By picture (``bicubic``, ``after STAGE``, ``without STAGE``): ``psnr_rgb`` and ``psnr_y`` in dB,
            100 for equal pictures, ``ssim_y``, and ``lpips`` where asked for. Empty until they are judged.
        error: Why they cannot be judged; the restoration is not affected by it.
    """

    reference: str | None = None
    reference_sha256: str | None = None
    figures: dict[str, Figures] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Record:
    """What became of one input.

    Attributes:
        input: The file as the user gave it.
        output: The result, relative to the output folder, so that the folder can be moved with its report.
        seconds: Time spent on this input: reading, computing, judging and writing, without waiting for others.
        stage_seconds: Computing time by stage.
        tile: Longest side of the tiles in pixels; 0 for the whole image at once.
        backends: What ran each stage: ``torch``, ``torch compiled in 9.5 s``, ``ncnn``, ``openvino``, or
            ``openvino int8|bf16``.
        chain: Fingerprint of all options and weights that change pixels.
        weights: SHA-256 of the weights files by stage.
        fp32_retries: How often a result in half precision was not finite and was computed again.
        memory_retreats: How often memory ran out and the tile was halved.
        input_size: Width and height in pixels.
        quality: Absent where no references were given.
        frames: Of a film.
        waiting: Of a film: share of the time in which each step (decode, compute, encode) waited for the others.
        differs: Of a film: what is not as in its source, a line each.
        flicker: Of a film: the warping errors (``pipeline.video.flicker``) of source, result and reference.
    """

    input: str
    output: str | None
    status: Status = "pending"
    error: str | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    tile: int | None = None
    precision: str | None = None
    device: str | None = None
    backends: dict[str, str] = field(default_factory=dict)
    chain: str = ""
    weights: dict[str, str] = field(default_factory=dict)
    fp32_retries: int = 0
    memory_retreats: int = 0
    input_sha256: str | None = None
    output_sha256: str | None = None
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    quality: Quality | None = None
    frames: int | None = None
    waiting: dict[str, float] = field(default_factory=dict)
    differs: tuple[str, ...] = ()
    flicker: dict[str, dict[str, float]] = field(default_factory=dict)

    def computed(self, run: Restoration[Any] | Account) -> Record:
        """Return the record completed by the engine's account of its work."""
        told = ("tile", "device", "precision", "backends", "fp32_retries", "memory_retreats")
        seconds = {name: round(seconds, 3) for name, seconds in run.seconds.items()}
        return replace(self, stage_seconds=seconds, **{name: getattr(run, name) for name in told})

    def spent_since(self, started: float) -> Record:
        """Return the record with the seconds since then, by ``time.perf_counter``, added."""
        return replace(self, seconds=round(self.seconds + time.perf_counter() - started, 3))

    def line(self) -> bytes:
        """Return the record as one line of JSON."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"


class Report:
    """A report file: what earlier runs have finished, and a place for this run's records.

    Raises:
        ConfigError: if the path cannot be a report.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: io.FileIO | None = None
        self._made: set[tuple[str, ...]] = set()  # output and its hash
        self._precisions: dict[Origin, set[str]] = defaultdict(set)
        self._differences: dict[Origin, tuple[str, ...]] = {}
        self._figures: dict[tuple[Origin, str], dict[str, Figures]] = {}  # by the reference's hash, too
        for record in _read_done(path):
            origin = _origin(record)
            self._made.add(origin[:2])
            self._precisions[origin].add(str(record.get("precision")))
            self._differences[origin] = tuple(record.get("differs", ()))
            quality = record.get("quality")
            if isinstance(quality, dict) and quality.get("figures"):
                self._figures[origin, quality["reference_sha256"]] = quality["figures"]

    def made(self, output: str, output_sha256: str) -> bool:
        """Tell whether an output with these very bytes was written by an earlier run."""
        return (output, output_sha256) in self._made

    def finished(self, record: Record, precisions: Collection[str]) -> bool:
        """Tell whether an earlier run made this output of this input by this chain, in one of these precisions."""
        return not self._precisions.get(_origin(vars(record)), set()).isdisjoint(precisions)

    def figures(self, record: Record) -> dict[str, Figures]:
        """Return the figures that an earlier run found for a finished record with the same reference; else ``{}``."""
        reference = None if record.quality is None else record.quality.reference_sha256
        return self._figures.get((_origin(vars(record)), str(reference)), {})

    def differences(self, record: Record) -> tuple[str, ...]:
        """Return how an earlier run found a finished film to differ from its source."""
        return self._differences.get(_origin(vars(record)), ())

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


def split_paths(paths: Sequence[Path], output: Path) -> tuple[Path, Path | None]:
    """Tell by suffix what each ``--report`` is: return the file of JSON lines and the page, if there is one.

    Without one among the paths, the JSON lines go to ``output``.

    Raises:
        ConfigError: if there are two of a kind.
    """
    pages = [path for path in paths if path.suffix.lower() in (".html", ".htm")]
    ledgers = [path for path in paths if path not in pages]
    for kind, found in (("page (.html)", pages), ("file of JSON lines", ledgers)):
        if len(found) > 1:
            raise ConfigError(f"--report: got {' and '.join(map(str, found))}, expected at most one {kind}")
    return ledgers[0] if ledgers else output / "restoration.jsonl", pages[0] if pages else None


def recall(path: Path, records: Sequence[Record]) -> list[Record]:
    """Complete the records of skipped inputs by what was recorded when they were restored.

    Args:
        path: The report.
        records: Of all statuses; their order is kept.
    """
    skipped = {_origin(vars(record)) for record in records if record.status == "skipped"}
    earlier = {_origin(record): record for record in _read_done(path) if _origin(record) in skipped}
    return [
        _recalled(record, earlier.get(_origin(vars(record)), {})) if record.status == "skipped" else record
        for record in records
    ]


def _origin(record: Mapping[str, Any]) -> Origin:
    return tuple(str(record.get(key)) for key in ("output", "output_sha256", "input_sha256", "chain"))


def _recalled(record: Record, earlier: dict[str, Any]) -> Record:
    told = ("notes", "seconds", "stage_seconds", "tile", "precision", "device", "input_size", "output_size")
    return replace(record, **{key: earlier[key] for key in told if key in earlier})


def _read_done(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_dir():
        raise ConfigError(f"--report: {path} is a folder, expected a file")
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:  # torn, or not ours
                continue
            if isinstance(record, dict) and record.get("status") == "done":
                yield record
