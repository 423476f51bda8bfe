"""What a batch asks of each kind of input: open it, restore it, keep the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pipeline.batch.job import Job
    from pipeline.batch.record import Record
    from pipeline.batch.run_log import RunLog
    from pipeline.engine.engine import Engine

Watch = Callable[["Job", Any], None]
"""Called with a job and its progress while it is computed."""


class JobKind(Protocol):
    """How inputs of one kind go through a batch; each method runs in a thread of its own."""

    def fingerprint(self, chain: str) -> str:
        """Return a hash of all options that determine a result, beside its input; ``chain`` is that of the chain."""

    def input_hash(self, job: Job) -> str:
        """Return a hash of the input's bytes."""

    def open(self, job: Job, record: Record, run_log: RunLog) -> tuple[Record, Any]:
        """Read an input, or recall what was recorded of it if nothing is left to do.

        Returns:
            The record, and the content; None if it is finished.

        Raises:
            ImageError: if it cannot be restored.
        """

    def restore(self, job: Job, content: Any, engine: Engine, record: Record, watch: Watch) -> tuple[Record, Any]:
        """Run the chain over what ``open`` returned; return the record and what ``keep`` needs.

        Raises:
            RefusedImage: if the target's format cannot hold the result.
            RestorationError: as from ``Engine``.
        """

    def keep(self, job: Job, content: Any, result: Any, record: Record, run_log: RunLog, *, replaces: bool) -> Record:
        """Write and record a result, then rename it to its place, whole.

        Args:
            job: The input.
            content: From ``open``.
            result: From ``restore``.
            record: From ``restore``.
            run_log: Where the result is recorded.
            replaces: Whether a file at the target was there when the job began, and is replaced.

        Raises:
            RefusedImage: if there is a file that is not to be replaced.
            OutOfSpace: if the disk is full.
        """
