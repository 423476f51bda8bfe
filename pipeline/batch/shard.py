"""A share of all inputs, so that several runs can divide them: ``3/16`` is the third of sixteen."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import PurePath

from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Shard:
    """The inputs of which this run takes care."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``3/16``.

        Raises:
            ConfigError: for any other text.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ConfigError(f"shard: got {text!r}, expected NUMBER/COUNT such as 3/16")
        return cls(int(found[1]), int(found[2]))

    def holds(self, relative: PurePath) -> bool:
        """Return whether an input belongs to this share, by its place in the tree alone: reruns find the same."""
        digest = zlib.crc32(relative.as_posix().encode("utf-8", "surrogateescape"))
        return digest % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"
