"""Verify a restored video against its source, on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.errors import ConfigError
from pipeline.text import printable
from pipeline.video.conformance import compare_videos
from pipeline.video.flicker import flicker_of_files
from pipeline.video.options import VideoOptions
from pipeline.video.property_comparison import PropertyComparison


def verify_videos(source: Path, result: Path, options: VideoOptions, console: Console, *, flicker: bool) -> int:
    """Print how a result compares with its source; return the exit code, 1 if it differs.

    Args:
        source: A video, or a folder of frames.
        result: What was made of it; likewise.
        options: ``start`` and ``duration`` select the part of the source that the result covers; ``fps`` is the frame
            rate of a folder of frames.
        console: Receives the tables.
        flicker: Also measure temporal flicker.

    Raises:
        ConfigError: for a folder of frames without its frame rate.
        ImageError: if they cannot be compared.
    """
    if source.is_dir() and not result.is_dir() and options.fps is None:
        raise ConfigError(f"fps: got none, expected the frame rate of {source}, a folder of frames")
    comparisons = compare_videos(source, result, options)
    console.print(comparison_table(comparisons), soft_wrap=False)
    if flicker:
        errors = flicker_of_files(source, result, options=options)
        by_name = {name: asdict(error) for name, error in errors.items()}
        console.print(flicker_table({str(result): by_name}), soft_wrap=False)
    return 1 if any(comparison.is_fault for comparison in comparisons) else 0


def comparison_table(comparisons: Sequence[PropertyComparison]) -> Table:
    """Return all comparisons as a table, with a verdict in the last column."""
    table = Table("", "source", "result", "")
    for comparison in comparisons:
        verdict = "same" if comparison.agrees else "DIFFERS" if comparison.is_fault else "not supported"
        table.add_row(*map(printable, (comparison.name, comparison.expected, comparison.actual)), verdict)
    return table


def flicker_table(videos: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    """Return the errors of videos by name, each a ``Flicker`` as a dictionary, as a table."""
    title = "Warping error between neighbouring frames along the motion in the source; lower is steadier."
    table = Table("video", "", "squared", "gray levels", "measured", title=title, title_style="", title_justify="left")
    for video, errors in videos.items():
        for name, error in errors.items():
            numbers = f"{error['squared']:.6f}", f"{error['absolute']:.2f}", f"{error['seen']:.0%}"
            table.add_row(printable(video), name, *numbers)
        table.add_section()
    return table
