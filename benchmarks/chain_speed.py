"""Time of a chain on one 640x360 frame against the plain way: ``python benchmarks/chain_speed.py``.

The plain way is what a script around the same networks does: every network eager in float32 and NCHW, batch norm not
folded, and between two stages the image goes back to the host as a NumPy array. Each way has a process of its own, as
what we tell the C library about memory would serve both; they run in turn, so that the ratio holds while the
machine's speed drifts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pipeline.chain import Chain
from pipeline.config import load_chain_config
from pipeline.engine import Engine
from pipeline.memory import keep_freed_memory
from stages.stage import LearnedStageConfig, Stage, StageConfig
from stages.weights import load_weights

Way = Callable[[np.ndarray], np.ndarray]

DEFAULT_CHAIN = Path(__file__).parents[1] / "configs" / "restore_x2.yaml"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", "--chain", type=Path, default=DEFAULT_CHAIN)
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto")
    parser.add_argument("--precision", default="auto", help="of ours; the plain way is always fp32")
    parser.add_argument("--size", default="640x360", help="width x height in pixels")
    parser.add_argument("-n", "--runs", type=int, default=7, help="counted runs of each")
    options = parser.parse_args()

    width, height = map(int, options.size.split("x"))
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with (
        process(plain_way, options.chain, options.device) as plain,
        process(our_way, options.chain, options.device, options.precision) as ours,
    ):
        seconds, results = time_in_turn({"plain": plain, "restorechain": ours}, frame, options.runs)
    report(seconds, results, f"{options.chain.stem} at {options.size} on {options.device}")


def process(make_way: Callable[..., Way], *arguments: object) -> Executor:
    """Start a process that holds one way, ready to run."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=partial(_hold, make_way, *arguments))


def _hold(make_way: Callable[..., Way], *arguments: object) -> None:
    _hold.way = make_way(*arguments)  # type: ignore[attr-defined]


def _timed(frame: np.ndarray) -> tuple[float, np.ndarray]:
    started = time.perf_counter()
    result = _hold.way(frame)  # type: ignore[attr-defined]
    return time.perf_counter() - started, result


def our_way(path: Path, device: str, precision: str) -> Way:
    """Return the chain as ``run_pipeline.py`` runs it."""
    keep_freed_memory()
    engine = Engine(Chain.load(path), device=device, precision=precision)
    return lambda frame: engine.run(frame).pixels


def plain_way(path: Path, device: str) -> Way:
    """Return the chain as a plain script would run it."""
    target = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu"))
    stages = [build_plain(config).to(target) for config in load_chain_config(path).stages]

    def run(frame: np.ndarray) -> np.ndarray:
        image = frame.astype(np.float32) / 255
        for stage in stages:
            image = run_plain(stage, image, target)
        return (image * 255).round().astype(np.uint8)

    return run


def build_plain(config: StageConfig) -> Stage:
    """Build one stage as it was trained: batch norm not folded."""
    stage = config.build().eval()
    if isinstance(config, LearnedStageConfig) and config.weights:
        load_weights(stage, Path(config.weights))
    return stage


def run_plain(stage: Stage, image: np.ndarray, device: torch.device) -> np.ndarray:
    """Run one stage on ``(H, W, 3)`` floats, from the host and back to it."""
    height, width = image.shape[:2]
    fill = (0, -width % stage.multiple_of, 0, -height % stage.multiple_of)
    tensor = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0).contiguous().to(device)
    with torch.no_grad():
        result = stage(torch.nn.functional.pad(tensor, fill, mode="replicate"))
    result = result[0, :, : height * stage.scale, : width * stage.scale].clamp(0, 1)
    return result.permute(1, 2, 0).cpu().numpy()


def time_in_turn(
    ways: dict[str, Executor], frame: np.ndarray, runs: int
) -> tuple[dict[str, list[float]], dict[str, np.ndarray]]:
    """Run every way in turn, once to warm up and ``runs`` times counted; return seconds and last results."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, np.ndarray] = {}
    for run in range(runs + 1):
        for name, way in ways.items():
            taken, results[name] = way.submit(_timed, frame).result()
            if run:
                seconds[name].append(taken)
    return seconds, results


def report(seconds: dict[str, list[float]], results: dict[str, np.ndarray], title: str) -> None:
    """Print medians, spread and the ratio, run by run."""
    table = Table("way", "median ms", "min", "max", "frames/s", title=title)
    for name, values in seconds.items():
        median = statistics.median(values)
        cells = (f"{value * 1000:.1f}" for value in (median, min(values), max(values)))
        table.add_row(name, *cells, f"{1 / median:.2f}")
    console = Console()
    console.print(table)
    ratios = [plain / ours for plain, ours in zip(seconds["plain"], seconds["restorechain"], strict=True)]
    difference = np.abs(results["plain"].astype(int) - results["restorechain"].astype(int)).max()
    console.print(
        f"plain / restorechain: {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f}); "
        f"largest difference of the results: {difference} of 255; {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
