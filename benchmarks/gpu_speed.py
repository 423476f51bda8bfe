"""Speed of a chain on a GPU: ``python benchmarks/gpu_speed.py [--clip CLIP] [-o docs/gpu_speed.md]``.

    one frame    from the host's memory to the host's memory
    batch        frames that are on the device and stay there
    video        a file to a file, decoded and encoded on the host

Each beside the plain way of chain_speed.py (the same networks eager in float32 and NCHW, by way of the host between
stages) and beside the floor of roofline.py, below which this device cannot go. All ways run in turn. It runs on a CPU,
too, which only serves to test the benchmark itself.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from chain_speed import DEFAULT_CHAIN, as_frame, command, machine, markdown_table, paragraph, show
from roofline import ceilings, floors
from skimage import data
from video_speed import restore
from video_speed import timed as timed_video
from ways import plain_way

from pipeline.chain.chain import Chain
from pipeline.chain.config import load_chain_config
from pipeline.device.computing import choose_precision
from pipeline.device.precision import PRECISIONS
from pipeline.device.process import keep_freed_memory
from pipeline.engine.engine import Engine
from pipeline.engine.tensors import to_tensor
from pipeline.video.options import VideoOptions

_COLUMNS = ("way", "frames", "median ms", "from, to", "frames/s", "plain / it", "share of the floor", "first run s")
_STAGE_COLUMNS = ("stage", "ms a frame", "floor ms", "share of the floor")
_WARM_UPS = 3  # the first compiles, where that is asked for
_READING = (
    "Times are of all the frames together, the device's queue empty before and after; plain / it is by frame, the "
    "median of the runs' own ratios. The floor is the chain's multiply-adds at the speed of this device's fastest "
    "matrix product of that shape and precision, or its least traffic, whichever takes longer. The first run holds the "
    "warm-up, such as compiling, which later processes take from inductor's cache. Stages: of the last way's median "
    "batch."
)


class Way(NamedTuple):
    """Something to be timed: what it runs, and for how many frames."""

    run: Callable[[], object]
    frames: int


class Timing(NamedTuple):
    """Seconds of a way's counted runs, and of its very first one."""

    frames: int
    first: float
    seconds: list[float]


def main() -> None:
    """Run the command line."""
    options = build_parser().parse_args()
    keep_freed_memory()
    width, height = map(int, options.size.split("x"))
    frame = as_frame(data.coffee(), height, width)
    engines = make_engines(options)
    engine = list(engines.values())[-1]
    floor = floor_by_stage(options, engine.device, height, width)
    timings = time_in_turn(make_ways(options, engines, frame), options.runs, engine.device)
    tables = [[_COLUMNS, *(row(name, timings, sum(floor.values())) for name in timings)]]
    tables.append([_STAGE_COLUMNS, *stage_rows(engine, frame, options, floor)])
    if options.clip:
        tables.append(video_rows(engine, options))
    title = f"{options.chain.stem}, frames of {options.size}, on {engine.device}"
    for rows in tables:
        show(rows, title)
    if options.output:
        options.output.write_text(as_markdown(tables, title), encoding="utf-8")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--chain", type=Path, default=DEFAULT_CHAIN)
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto")
    parser.add_argument("--precision", default="auto", choices=PRECISIONS, help="of ours; the plain way is fp32")
    parser.add_argument("--size", default="640x360", help="width x height in pixels")
    parser.add_argument("--batch", type=int, default=8, help="frames on the device at once")
    parser.add_argument("--clip", type=Path, help="a video to restore from file to file, as well")
    parser.add_argument("-n", "--runs", type=int, default=20, help="counted runs of each")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="write the page there")
    return parser


def make_engines(options: argparse.Namespace) -> dict[str, Engine]:
    """Return the chain made ready as it is and, on CUDA, compiled."""
    make = partial(Engine, device=options.device, precision=options.precision, tile=0)
    engines = {"eager": make(Chain.build(load_chain_config(options.chain).at_full_strength()))}
    if engines["eager"].device.type == "cuda":
        engines["compiled"] = make(Chain.build(load_chain_config(options.chain).at_full_strength()), compile="on")
    return engines


def make_ways(options: argparse.Namespace, engines: dict[str, Engine], frame: np.ndarray) -> dict[str, Way]:
    """Return what is timed, by name; the plain way comes first."""
    any_engine = next(iter(engines.values()))
    ways = {
        "plain": Way(
            partial(plain_way(load_chain_config(options.chain).at_full_strength(), str(any_engine.device)), frame), 1
        )
    }
    frames = to_tensor(frame, any_engine.device).repeat(options.batch, 1, 1, 1)
    for name, engine in engines.items():
        ways[f"{name}, one frame"] = Way(partial(engine.run, frame), 1)
        ways[f"{name}, batch"] = Way(partial(engine.run_frames, frames), options.batch)
    return ways


def time_in_turn(ways: dict[str, Way], runs: int, device: torch.device) -> dict[str, Timing]:
    """Run every way in turn."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_WARM_UPS + runs):
        for name, way in ways.items():
            taken[name].append(timed(way.run, device))
    return {name: Timing(way.frames, taken[name][0], taken[name][_WARM_UPS:]) for name, way in ways.items()}


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds until a run's results are there."""
    wait = partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - started


def floor_by_stage(options: argparse.Namespace, device: torch.device, height: int, width: int) -> dict[str, float]:
    """Return by stage the seconds that a frame must take on this device."""
    precision = choose_precision(options.precision, device, np.dtype(np.uint8))
    products, copy = ceilings(device, [precision])
    return {
        name: max(arithmetic, traffic)
        for name, (arithmetic, traffic) in floors(
            Chain.load(options.chain), height, width, products[precision], copy
        ).items()
    }


def row(name: str, timings: dict[str, Timing], floor: float) -> tuple[str, ...]:
    """Return a way's cells."""
    number, first, values = timings[name]
    ratios = [number * plain / other for plain, other in zip(timings["plain"].seconds, values, strict=True)]
    median = statistics.median(values)
    return (
        name,
        str(number),
        f"{median * 1000:.2f}",
        f"{min(values) * 1000:.2f} to {max(values) * 1000:.2f}",
        f"{number / median:.1f}",
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        f"{floor * number / median:.0%}",
        f"{first:.1f}",
    )


def stage_rows(
    engine: Engine, frame: np.ndarray, options: argparse.Namespace, floor: dict[str, float]
) -> list[tuple[str, ...]]:
    """Return the cells of every stage, in batches."""
    frames = to_tensor(frame, engine.device).repeat(options.batch, 1, 1, 1)
    runs = [engine.run_frames(frames).seconds for _ in range(options.runs)]
    median = {name: statistics.median(seconds[name] for seconds in runs) / options.batch for name in floor}
    return [
        (name, f"{median[name] * 1000:.3f}", f"{least * 1000:.3f}", f"{least / median[name]:.0%}")
        for name, least in floor.items()
    ]


def video_rows(engine: Engine, options: argparse.Namespace) -> list[tuple[str, ...]]:
    """Return what became of the clip: frames a second, and how much of its time each step waited."""
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(1 + min(options.runs, 5)):
            target = Path(folder, "out.mkv")
            speed, progress = timed_video(partial(restore, options.clip, target, VideoOptions(), engine))
            rates.append(speed.rate)
    rates = rates[1:]
    spread = f"{min(rates):.1f} to {max(rates):.1f}"
    waiting = ", ".join(f"{name} {load.waiting:.0%}" for name, load in progress.loads.items())
    columns = ("video", "frames/s", "from, to", "waiting")
    return [columns, (options.clip.name, f"{statistics.median(rates):.1f}", spread, waiting)]


def as_markdown(tables: list[list[tuple[str, ...]]], title: str) -> str:
    """Format the page docs/gpu_speed.md."""
    body = "\n\n".join(map(markdown_table, tables))
    written = paragraph(f"Written by `{command()}`: {title}. {machine()}")
    return f"# A chain on a GPU\n\n{written}\n\n{body}\n\n{paragraph(_READING)}\n"


if __name__ == "__main__":
    main()
