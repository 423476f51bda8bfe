"""What a batch asks of each kind of input: open it, restore it, write the result, put it into its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pipeline.batch.earlier import EarlierResults
    from pipeline.batch.job import Job
    from pipeline.batch.record import Record
    from pipeline.engine.engine import Engine

Watch = Callable[["Job", Any], None]
"""Called with a job and its progress while it is computed: the share of an image, ``VideoProgress`` of a video."""


class JobKind(Protocol):
    """How inputs of one kind go through a batch; ``open``, ``restore`` and ``write`` run in threads of their own."""

    def fingerprint(self, chain: str) -> str:
        """Return a hash of all options that determine a result, beside its input; ``chain`` is that of the chain."""

    def input_hash(self, job: Job) -> str:
        """Return a hash of the input's bytes."""

    def open(self, job: Job, record: Record, earlier: EarlierResults) -> tuple[Record, Any]:
        """Read an input, or recall what was recorded of it if nothing is left to do.

        Returns:
            The record, and the content; None if it is finished.

        Raises:
            ImageError: if it cannot be restored.
        """

    def restore(self, job: Job, content: Any, engine: Engine, record: Record, watch: Watch) -> tuple[Record, Any]:
        """Run the chain over what ``open`` returned; return the record and what ``write`` needs.

        Raises:
            RefusedImage: if the target's format cannot hold the result.
            RestorationError: as from ``Engine``.
        """

    def write(self, job: Job, content: Any, result: Any, record: Record) -> Record:
        """Write a result to a hidden path beside its place, whole and safe on the disk.

        Args:
            job: The input.
            content: From ``open``.
            result: From ``restore``.
            record: From ``restore``.

        Returns:
            The record with the hash of the result.

        Raises:
            OutOfSpace: if the disk is full.
        """

    def place(self, job: Job) -> None:
        """Rename what ``write`` has written to its place."""

    def discard(self, job: Job) -> None:
        """Delete what ``write`` has written, except for what the next run can resume from."""
