"""Verify a restored video against its source, on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from pipeline.errors import ConfigError
from pipeline.video import flicker as flickering
from pipeline.video.conformance import as_table, compare_videos
from pipeline.video.options import VideoOptions


def verify_videos(files: Sequence[Path], options: VideoOptions, console: Console, *, flicker: bool) -> int:
    """Print how a result compares with its source; return the exit code, 1 if it differs.

    Args:
        files: The source and the result; either may be a folder of frames.
        options: ``start`` and ``duration`` select the part of the source that the result covers; ``fps`` is the frame
            rate of a folder of frames.
        console: Receives the tables.
        flicker: Also measure temporal flicker.

    Raises:
        ConfigError: if there are not two files.
        ImageError: if they cannot be compared.
    """
    if len(files) != 2:
        raise ConfigError(f"got {len(files)} files, expected SOURCE and RESULT")
    source, result = files
    if source.is_dir() and not result.is_dir() and options.fps is None:
        raise ConfigError(f"fps: got none, expected the frame rate of {source}, a folder of frames")
    comparisons = compare_videos(source, result, options)
    console.print(as_table(comparisons), soft_wrap=False)
    if flicker:
        errors = flickering.flicker_of_files(source, result, options=options)
        by_name = {name: asdict(error) for name, error in errors.items()}
        console.print(flickering.as_table({str(result): by_name}), soft_wrap=False)
    return 1 if any(comparison.is_fault for comparison in comparisons) else 0
