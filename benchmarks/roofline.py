"""How near a chain comes to what this device can do: ``python benchmarks/roofline.py``.

    ceilings   the fastest matrix product of a convolution's shape in each precision, and the fastest memory copy
    floor      what a stage must take: its multiply-adds at the first, or its least traffic at the second, whichever
               is longer; the least traffic is the image and the weights read once and the result written once
    share      floor / measured time

An engine may beat the floor: Winograd's convolutions need fewer multiplications than are counted here.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pipeline.backends import BACKENDS
from pipeline.chain import Chain
from pipeline.device import PRECISIONS, Stopwatch, find_device
from pipeline.engine import Engine
from pipeline.memory import keep_freed_memory
from pipeline.tiling import scales_before
from stages.profile import count_macs, count_parameters

DEFAULT_CHAIN = Path(__file__).parents[1] / "configs" / "restore_x2.yaml"
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# A 3x3 convolution of 64 channels as a matrix product: a row per pixel, as many as stay in a CPU's cache.
_PIXELS, _TAPS, _CHANNELS = 4096, 9 * 64, 64
_COPIED_BYTES = 2**28


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--chain", type=Path, default=DEFAULT_CHAIN)
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto")
    parser.add_argument("--precision", default="fp32", choices=PRECISIONS)
    parser.add_argument("--backend", default="torch", choices=BACKENDS)
    parser.add_argument("--size", default="640x360", help="width x height in pixels")
    parser.add_argument("-n", "--runs", type=int, default=5, help="counted runs")
    options = parser.parse_args()

    keep_freed_memory()
    width, height = map(int, options.size.split("x"))
    engine = Engine(
        Chain.load(options.chain), device=options.device, precision=options.precision, backend=options.backend, tile=0
    )
    products, copy = ceilings(find_device(options.device))
    console = Console()
    for name, speed in products.items():
        console.print(f"matrix product, {name}: {speed / 1e9:,.1f} G multiply-adds/s")
    console.print(f"memory copy: {copy / 1e9:,.1f} GB/s read and written")
    product = products.get(options.precision, products["fp32"])
    report(console, engine, floors(engine.chain, height, width, product, copy), measure(engine, height, width, options))


def ceilings(device: torch.device) -> tuple[dict[str, float], float]:
    """Return multiply-adds a second by precision, and bytes a second that are read and written."""
    products = {}
    for name, dtype in _DTYPES.items():
        pixels = torch.ones(_PIXELS * (1 if device.type == "cpu" else 64), _TAPS, dtype=dtype, device=device)
        weights = torch.ones(_TAPS, _CHANNELS, dtype=dtype, device=device)
        products[name] = pixels.numel() * _CHANNELS / fastest(device, lambda: pixels @ weights)  # noqa: B023
    source = torch.ones(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return products, 2 * _COPIED_BYTES / fastest(device, lambda: target.copy_(source))


def fastest(device: torch.device, work: Callable[[], object], runs: int = 20) -> float:
    """Return the seconds of the fastest run: a ceiling is what the device can do when nothing disturbs it."""
    watches = []
    with torch.inference_mode():
        for _ in range(runs):
            watches.append(Stopwatch(device))
            with watches[-1].lap("work"):
                work()
    return min(watch.seconds()["work"] for watch in watches[1:])


def floors(chain: Chain, height: int, width: int, product: float, copy: float) -> dict[str, tuple[float, float]]:
    """Return by stage the seconds that its multiply-adds and its traffic must take."""
    found = {}
    for name, config, stage, before in zip(
        chain.names, chain.config.stages, chain.stages, scales_before(chain.footprints), strict=True
    ):
        macs = count_macs(config, height * before, width * before)
        pixels = height * width * before**2
        values = 3 * pixels * (1 + stage.scale**2) + count_parameters(stage)
        found[name] = macs / product, 4 * values / copy
    return found


def measure(engine: Engine, height: int, width: int, options: argparse.Namespace) -> dict[str, float]:
    """Return the median seconds of every stage, by name."""
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    runs = [engine.run(frame).seconds for _ in range(options.runs + 1)][1:]
    return {name: statistics.median(seconds[name] for seconds in runs) for name in engine.chain.names}


def report(console: Console, engine: Engine, floor: dict[str, tuple[float, float]], seconds: dict[str, float]) -> None:
    """Print the floor, the time and the share of every stage and of the chain."""
    table = Table("stage", "arithmetic ms", "traffic ms", "floor ms", "measured ms", "share of the floor")
    total = 0.0
    for name, (arithmetic, traffic) in floor.items():
        least = max(arithmetic, traffic)
        total += least
        cells = (f"{value * 1000:.1f}" for value in (arithmetic, traffic, least, seconds[name]))
        table.add_row(name, *cells, f"{least / seconds[name]:.0%}")
    whole = sum(seconds.values())
    table.add_row("chain", "", "", f"{total * 1000:.1f}", f"{whole * 1000:.1f}", f"{total / whole:.0%}")
    console.print(table)
    console.print(f"{engine.device}, {torch.get_num_threads()} threads, {engine.backend}, {engine.precision}")


if __name__ == "__main__":
    main()
