"""The folder of a run: what it holds, who may write into it, and what a resumed run must have in common with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from pipeline.errors import ConfigError, RestorationError
from stages.atomic import written_whole
from train.config import Schedule, TrainingConfig
from train.data.layouts import Files


class TrainingInterrupted(RestorationError):  # noqa: N818  (what happened, not a fault of the program)
    """Ctrl-C or SIGTERM; the checkpoints are those of the last whole epoch."""


@dataclass(frozen=True)
class Run:
    """Where a run lies and what it may cost.

    Every one of several devices takes the batch size of the YAML, so that N devices train as one device does with N
    times the batch size (except for batch norm, whose statistics differ by process). Each validates on all images.
    ``devices`` are those of one machine, of which there are ``nodes``.
    """

    folder: Path
    max_time: timedelta | None = None
    max_epochs: int = -1
    resume: bool = False
    init: Path | None = None
    precision: str = "fp32"
    device: str = "auto"
    devices: int = 1
    nodes: int = 1

    @property
    def checkpoints(self) -> Path:
        """Return the folder of best.ckpt and last.ckpt."""
        return self.folder / "checkpoints"

    @property
    def best(self) -> Path:
        """Return the checkpoint that the weights are taken from."""
        return self.checkpoints / "best.ckpt"

    @property
    def last(self) -> Path:
        """Return the checkpoint that a resumed run continues from."""
        return self.checkpoints / "last.ckpt"

    @property
    def config(self) -> Path:
        """Return the file that holds the training configuration of the run."""
        return self.folder / "config.json"

    @property
    def data(self) -> Path:
        """Return the file that describes the data of the run."""
        return self.folder / "data.json"

    @property
    def has_budget(self) -> bool:
        """Whether the run ends after some time or some epochs."""
        return self.max_time is not None or self.max_epochs > 0

    def schedule_kind(self, schedule: Schedule) -> Literal["plateau", "cosine"]:
        """Return how the learning rate changes in this run."""
        return schedule.resolved(has_budget=self.has_budget)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out of the folder; if the run is killed, its lock ends with its process.

        Raises:
            ConfigError: if another run is going on in it, or it is a file.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"output: got the file {self.folder}, expected a folder, new or of a run")
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(f"output: another run is using {self.folder}; choose another folder") from None
        try:
            yield
        finally:
            lock.release()

    def check(self, config: TrainingConfig, train: Files, validation: Files) -> None:
        """Refuse to overwrite a run, to resume a missing or different one, and a cosine schedule without a budget.

        Raises:
            ConfigError: with what to do instead.
        """
        if config.schedule.kind == "cosine" and not self.has_budget:
            raise ConfigError("schedule: cosine anneals within a budget; give max_time or max_epochs")
        if self.resume and self.init:
            raise ConfigError("init: a resumed run continues from its own weights; leave it out")
        if self.resume and not self.last.is_file():
            raise ConfigError(f"resume: there is no {self.last}; start a new run")
        if not self.resume and self.last.is_file():
            raise ConfigError(f"output: {self.folder} holds a run already; resume it, or choose another folder")
        if self.resume:
            _compare("configuration", self.config, config.model_dump(mode="json"))
            _compare("data", self.data, self._described(config, train, validation))

    def keep(self, config: TrainingConfig, train: Files, validation: Files) -> None:
        """Write configuration and description of the data into the folder, for readers and for `check`."""
        described = self._described(config, train, validation)
        contents = {self.config: config.model_dump_json(indent=2), self.data: json.dumps(described, indent=2)}
        for path, content in contents.items():
            with written_whole(path) as temporary:
                temporary.write_text(content, encoding="utf-8")

    def _described(self, config: TrainingConfig, train: Files, validation: Files) -> dict[str, Any]:
        return {
            "data": train.described(),
            "validation": validation.described(),
            "devices": self.devices * self.nodes,
            "schedule": self.schedule_kind(config.schedule),
        }


def _compare(what: str, file: Path, now: dict[str, Any]) -> None:
    """Refuse values that differ from those that the run has written down."""
    if not file.is_file():
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    changes = [f"{key}: was {before.get(key)}, is {now[key]}" for key in now if before.get(key) != now[key]]
    if changes:
        raise ConfigError(
            f"resume: {what} must stay the same; to change it, start a new run with the weights of this one as init\n  "
            + "\n  ".join(changes)
        )
