"""Patches a second of ``python -m train`` against a plain loop: ``python benchmarks/training_speed.py --data DIR...``.

The plain loop is what a tutorial does: eager float32 in NCHW, Adam, no averaged weights, no log, no checkpoint. It is
handed the same batches. Ours is the whole trainer with all that it keeps. Every measurement is a process of its own;
they take turns, so that the ratio holds while the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from pipeline.device.find import find_device
from pipeline.device.process import keep_freed_memory
from train.cli.options import CONFIGS
from train.config import TrainingConfig, read_config
from train.data.batches import TrainingBatches
from train.data.layouts import find_files
from train.data.split import split
from train.precision import PRECISIONS

Loop = Callable[[TrainingConfig, argparse.Namespace], float]

_WARM_UP = 3


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", default=["dncnn", "unet", "edsr"], help="names of configs/train")
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR", help="as for python -m train")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="of ours; the plain loop is always float32"
    )
    parser.add_argument("--steps", type=int, default=30, help="counted steps of each measurement")
    parser.add_argument("-n", "--runs", type=int, default=3, help="measurements of each")
    options = parser.parse_args()
    table = Table("stage", "batch", "plain", "restorechain", "ratio", "of all runs", title="patches a second")
    for name in options.stages:
        config = read_config(CONFIGS / f"{name}.yaml", [f"steps_per_epoch={_WARM_UP + options.steps}"])
        plain, ours = measure_in_turn(config, options)
        ratios = [new / old for old, new in zip(plain, ours, strict=True)]
        speeds = (f"{statistics.median(speed):.1f}" for speed in (plain, ours))
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        table.add_row(name, str(config.data.batch_size), *speeds, f"{statistics.median(ratios):.2f}", spread)
    Console().print(table)


def measure_in_turn(config: TrainingConfig, options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Return the patches a second of the plain loop and of ours, run by run."""
    speeds: list[list[float]] = [[], []]
    for _ in range(options.runs):
        for loop, found in zip((plain_loop, our_loop), speeds, strict=True):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                found.append(process.submit(loop, config, options).result())
    return speeds[0], speeds[1]


def plain_loop(config: TrainingConfig, options: argparse.Namespace) -> float:
    """Train as a tutorial does."""
    device = find_device(options.device)
    batches = TrainingBatches(config, find_files(options.data, config.data.blur, config.scale), device)
    stage = config.stage.build().to(device)
    optimizer = torch.optim.Adam(stage.parameters(), lr=config.learning_rate)
    ends = []
    for index in range(_WARM_UP + options.steps):
        degraded, clean = batches[index]
        optimizer.zero_grad()
        torch.nn.functional.l1_loss(stage(degraded), clean).backward()
        optimizer.step()
        ends.append(_now(device))
    return _speed(config, ends)


def our_loop(config: TrainingConfig, options: argparse.Namespace) -> float:
    """Train as ``python -m train`` does, for one epoch."""
    from train.fit import fit
    from train.run import Run
    from train.task import RestorationTask
    from train.training import Training

    keep_freed_memory()
    device, ends = find_device(options.device), []

    def mark(task: RestorationTask, *_: Any) -> None:
        ends.append(_now(device))

    RestorationTask.on_train_batch_end = mark  # type: ignore[assignment, method-assign]
    files = find_files(options.data, config.data.blur, config.scale)
    train, validation = split(files, config.data.held_out)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run", max_epochs=1, precision=options.precision, device=device.type)
        fit(Training.resolve(config), train, validation, run, "benchmark")
    return _speed(config, ends)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _speed(config: TrainingConfig, ends: list[float]) -> float:
    """Return the patches a second between the end of the warm-up and the last step."""
    return (len(ends) - _WARM_UP) * config.data.batch_size / (ends[-1] - ends[_WARM_UP - 1])


if __name__ == "__main__":
    main()
