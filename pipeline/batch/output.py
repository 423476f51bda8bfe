"""The paths of results, while they are written and afterwards, and the lock on their folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.batch.shard import Shard
from pipeline.errors import ConfigError, RefusedImage
from stages.atomic import LONGEST_NAME

LOCK = ".restoring.lock"


@contextmanager
def reserved(output: Path, shard: Shard | None = None) -> Iterator[None]:
    """Keep other runs out of an output folder: they would delete half-written results as remains of a killed run.

    Runs for different shards do not meet.

    Raises:
        ConfigError: if another run is writing there.
        OSError: if nothing can be written there.
    """
    made = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    lock = output / (LOCK if shard is None else f"{LOCK}.{shard}")
    try:
        with FileLock(lock, timeout=0):
            try:
                yield
            finally:
                with suppress(OSError):  # Windows does so itself, when it is let go
                    lock.unlink()
    except Timeout:
        raise ConfigError(
            f"output: another run is writing to {output}; wait until it ends, or choose another folder"
        ) from None
    finally:
        if made:
            with suppress(OSError):  # it holds results
                output.rmdir()


def stage_paths(names: Sequence[str], target: Path) -> list[Path]:
    """Return where the images after the stages lie: ``TARGET.stages/1_dncnn.png`` and so on."""
    folder = target.with_name(f"{target.name}.stages")
    return [folder / f"{number}_{name}.png" for number, name in enumerate(names, start=1)]


def refuse_long_name(target: Path) -> None:
    """Refuse a target whose name no file system here takes, before any work.

    Raises:
        RefusedImage: if it has more than 255 bytes.
    """
    if (length := len(os.fsencode(target.name))) > LONGEST_NAME:
        raise RefusedImage(
            f"the name of the result has {length} bytes, expected at most {LONGEST_NAME}; rename the input",
            "cannot be written",
        )


def refuse_new_file(target: Path, *, replaces: bool) -> None:
    """Refuse a target at which a file was created after the job began.

    Raises:
        RefusedImage: if there is one, and none is to be replaced.
    """
    if not replaces and os.path.lexists(target):
        raise RefusedImage(
            f"{target} was created during this run, as the result of an input whose name differs in upper and lower "
            "case only, or by another program; restore it into another folder",
            "in the way",
        )
