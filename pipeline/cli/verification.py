"""``--verify SOURCE RESULT``: the conformance check by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from pipeline.errors import ConfigError
from pipeline.video import flicker as flickering
from pipeline.video.conformance import as_table, examine
from pipeline.video.options import VideoOptions


def verify_films(files: Sequence[Path], options: VideoOptions, console: Console, *, flicker: bool) -> int:
    """Print how a result compares with its source; return the exit code, 1 if it differs.

    Args:
        files: The source and the result; either may be a folder of frames.
        options: Whose ``start`` and ``duration`` tell which part of the source the result shows, and
            ``fps`` how fast a folder of frames is.
        console: Where to.
        flicker: Measure that, too.

    Raises:
        ConfigError: if there are not two files.
        ImageError: if they cannot be compared.
    """
    if len(files) != 2:
        raise ConfigError(f"--verify: got {len(files)} files, expected two: --verify SOURCE RESULT")
    source, result = files
    if source.is_dir() and not result.is_dir() and options.fps is None:
        raise ConfigError(f"--verify: {source} is a folder of frames, expected also --fps, as for restoring it")
    figures = examine(source, result, options)
    console.print(as_table(figures), soft_wrap=False)
    if flicker:
        errors = flickering.flicker_of_files(source, result, options=options)
        told = {name: asdict(error) for name, error in errors.items()}
        console.print(flickering.as_table({str(result): told}), soft_wrap=False)
    return 1 if any(figure.is_fault for figure in figures) else 0
