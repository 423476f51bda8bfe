"""Where results come into being, and where they lie."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.engine.engine import Restoration
    from pipeline.engine.pixels import Pixels
    from pipeline.images import Picture


def partial_folder(target: Path) -> Path:
    """Return the folder in which a result comes into being: hidden, beside it, and found again after a kill."""
    return target.with_name(f".{target.name}.partial")


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
