"""A run log in a storage, where objects cannot be appended to: parts, each put whole.

    OUTPUT/restoration.jsonl/20261130T093900.123456Z-4711-00000.jsonl, ...

A run that is killed loses the lines of its last part, but no result: those know themselves what they were made from.
"""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from pipeline.batch.earlier import EarlierResults
from pipeline.batch.record import Record
from pipeline.storage.objects import joined, put
from pipeline.system_files import RUN_LOG

_LINES = 1000
_SECONDS = 30.0


class ObjectRunLog:
    """A place for this run's records below the URL of its results; as ``RunLog``, but never read."""

    def __init__(self, output: str) -> None:
        self.path = joined(output, RUN_LOG)
        self._run = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}"
        self._part = 0
        self._lines: list[bytes] = []
        self._since = time.monotonic()

    def earlier(self, output: str | None) -> EarlierResults:
        """Return nothing: what is known of an output, it carries itself."""
        return EarlierResults(self.path)

    def append(self, record: Record) -> None:
        """Add one line; a part is put after 1000 of them or half a minute.

        Raises:
            OutOfSpace: if the storage is full.
            ImageError: if it refuses.
        """
        self._lines.append(record.line())
        if len(self._lines) >= _LINES or time.monotonic() - self._since > _SECONDS:
            self._put()

    def close(self) -> None:
        """Put the last part."""
        if self._lines:
            self._put()

    def _put(self) -> None:
        with tempfile.TemporaryDirectory(prefix="restorechain-") as folder:
            path = Path(folder, "part.jsonl")
            path.write_bytes(b"".join(self._lines))
            put(path, joined(self.path, f"{self._run}-{self._part:05}.jsonl"), {}, replaces=False)
        self._part, self._lines, self._since = self._part + 1, [], time.monotonic()
