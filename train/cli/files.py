"""Choose the files to train and to validate on, and say which they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from train.config import TrainingConfig
    from train.data.layouts import Files


def choose_files(data: list[Path], val: list[Path] | None, config: TrainingConfig) -> tuple[Files, Files]:
    """Return the files to train on and to validate on; without ``val``, some of ``data`` are held out."""
    from lightning.pytorch.utilities import rank_zero_only

    from train.data.layouts import find_files
    from train.data.split import hold_out, refuse_leakage

    files = find_files(data, config.data.blur, config.scale)
    for line in files.origins:
        rank_zero_only(typer.echo)(line)
    if not val:
        return hold_out(files, config.data.held_out)
    validation_files = find_files(val, config.data.blur, config.scale)
    refuse_leakage(files, validation_files)
    return files, validation_files
