"""Where results come into being, and where they lie; who may write there."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.engine.engine import Restoration
    from pipeline.engine.pixels import Pixels
    from pipeline.images import Picture


_LONGEST_NAME = 255


@contextmanager
def reserved(output: Path) -> Iterator[None]:
    """Keep other runs out of an output folder, as they would take what is half-written for what a kill has left.

    Raises:
        ConfigError: if another run is writing there.
        OSError: if nothing can be written there.
    """
    made = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    lock = output / ".restoring.lock"
    try:
        with FileLock(lock, timeout=0):
            try:
                yield
            finally:
                with suppress(OSError):  # Windows does so itself, when it is let go
                    lock.unlink()
    except Timeout:
        raise ConfigError(
            f"--output: another run is writing to {output}; wait until it ends, or choose another folder"
        ) from None
    finally:
        if made:
            with suppress(OSError):  # it holds results
                output.rmdir()


def working_path(path: Path, ending: str) -> Path:
    """Return where a file or folder comes into being: hidden, beside it, and found again after a kill."""
    name = f".{path.name}{ending}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}{ending}"
    return path.with_name(name)


def partial_folder(target: Path) -> Path:
    """Return the folder in which a result comes into being."""
    return working_path(target, ".partial")


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Make a result's folder, and remove it with all that is left in it."""
    folder = partial_folder(target)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stage_paths(names: Sequence[str], target: Path) -> list[Path]:
    """Return where the pictures after the stages lie: ``TARGET.stages/1_dncnn.png`` and so on."""
    folder = target.with_name(f"{target.name}.stages")
    return [folder / f"{number}_{name}.png" for number, name in enumerate(names, start=1)]


def write_stages(
    names: Sequence[str], picture: Picture, restoration: Restoration[Pixels], folder: Path, target: Path
) -> None:
    """Write the pictures after the named stages, each whole: into ``folder``, then to its place."""
    from pipeline.alpha import restored_like
    from pipeline.images import write_picture

    for name, path in zip(names, stage_paths(names, target), strict=True):
        path.parent.mkdir(exist_ok=True)
        write_picture(folder / path.name, restored_like(picture, restoration.stages[name]))
        (folder / path.name).replace(path)
