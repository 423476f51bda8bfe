"""Speed of a chain relative to this device's limits: ``python benchmarks/roofline.py [-o FILE.md]``.

    ceilings   the fastest matrix product of a convolution's shape in each precision, and the fastest memory copy, on
               as many threads as the chain
    floor      what a stage must take: its multiply-adds at the first, or its least traffic at the second, whichever
               is longer; the least traffic is the image and the weights read once and the result written once
    share      floor / measured time

Each chain runs in fp32, in bf16 where the processor has it, and in int8 where OpenVINO is there.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np
import torch
from chain_speed import DEFAULT_CHAIN, FAST_CHAIN, command, machine, markdown_table, paragraph, show

from pipeline.backends.choice import BACKENDS, choose_backend
from pipeline.backends.preparation import label_of
from pipeline.chain.chain import Chain
from pipeline.chain.config import load_chain_config
from pipeline.device.computing import cpu_computes_in_bf16
from pipeline.device.find import find_device
from pipeline.device.process import keep_freed_memory
from pipeline.device.stopwatch import Stopwatch
from pipeline.engine.engine import Engine
from pipeline.errors import ConfigError
from pipeline.tiling import scales_before
from stages.profile import count_macs, count_parameters

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8}
# A 3x3 convolution of 64 channels as a matrix product: a row per pixel, as many as stay in a CPU's cache.
_PIXELS, _TAPS, _CHANNELS = 4096, 9 * 64, 64
_COPIED_BYTES = 2**28
_COLUMNS = ("stage", "by", "arithmetic, ms", "traffic, ms", "floor, ms", "measured, ms", "share of the floor")
_READING = (
    "Floor: a stage's multiply-adds at the fastest matrix product in its precision, or its least traffic at the "
    "fastest memory copy, whichever is longer. Measured: medians. More than 100 % is possible: Winograd's "
    "convolutions (ncnn) need up to four times fewer multiplications than are counted. In int8 some layers are "
    "computed in floats, which the floor does not know."
)


def main() -> None:
    """Run the command line."""
    options = build_parser().parse_args()
    keep_freed_memory()
    device = find_device(options.device)
    found = precisions(device)
    products, copy = ceilings(device, found)
    tables: dict[str, list[tuple[str, ...]]] = {"Ceilings": ceiling_rows(products, copy)}
    for path in options.chains:
        for precision in found:
            title = f"{path.stem}, {options.size}, {precision}"
            tables[title] = [_COLUMNS, *share_rows(path, precision, products[precision], copy, options)]
    for title, rows in tables.items():
        show(rows, title)
    if options.output:
        options.output.write_text(as_markdown(tables), encoding="utf-8")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--chains", type=Path, nargs="+", default=(DEFAULT_CHAIN, FAST_CHAIN), metavar="CHAIN")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto")
    parser.add_argument("--backend", default="auto", choices=BACKENDS)
    parser.add_argument("--size", default="640x360", help="width x height in pixels")
    parser.add_argument("-n", "--runs", type=int, default=5, help="counted runs")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="write the page there")
    return parser


def precisions(device: torch.device) -> list[str]:
    """Return those that the device is fast in."""
    if device.type != "cpu":
        return ["fp32", "fp16", "bf16"]
    found = ["fp32", *(["bf16"] if cpu_computes_in_bf16() else [])]
    with suppress(ConfigError):
        choose_backend("auto", device, "int8")
        found.append("int8")
    return found


def ceilings(device: torch.device, precisions: Sequence[str]) -> tuple[dict[str, float], float]:
    """Return multiply-adds a second by precision, and bytes a second that are read and written."""
    products = {}
    for name in precisions:
        dtype = _DTYPES[name]
        pixels = torch.ones(_PIXELS * (1 if device.type == "cpu" else 64), _TAPS, dtype=dtype, device=device)
        weights = torch.ones(_TAPS, _CHANNELS, dtype=dtype, device=device)
        multiply = torch._int_mm if name == "int8" else torch.mm
        products[name] = pixels.numel() * _CHANNELS / fastest(device, partial(multiply, pixels, weights))
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


def ceiling_rows(products: dict[str, float], copy: float) -> list[tuple[str, ...]]:
    """Return the ceilings' table."""
    multiply = [
        (f"matrix product, {name}", f"{speed / 1e9:,.1f} G multiply-adds/s") for name, speed in products.items()
    ]
    return [("work", "fastest"), *multiply, ("memory copy", f"{copy / 1e9:,.1f} GB/s read and written")]


def share_rows(
    path: Path, precision: str, product: float, copy: float, options: argparse.Namespace
) -> Iterator[tuple[str, ...]]:
    """Yield the cells of every stage of a chain, then of the chain: floor, time and share."""
    backend = "torch" if precision in ("bf16", "fp16") else options.backend
    engine = Engine(
        Chain.build(load_chain_config(path).at_full_strength()),
        device=options.device,
        precision=precision,
        backend=backend,
        tile=0,
    )
    width, height = map(int, options.size.split("x"))
    seconds = measure(engine, height, width, options.runs)
    total = 0.0
    for name, (arithmetic, traffic) in floors(engine.chain, height, width, product, copy).items():
        least = max(arithmetic, traffic)
        total += least
        cells = (f"{value * 1000:.1f}" for value in (arithmetic, traffic, least, seconds[name]))
        label = label_of(engine.chain.stages[engine.chain.names.index(name)])
        yield (name, label, *cells, f"{least / seconds[name]:.0%}")
    whole = sum(seconds.values())
    yield "chain", "", "", "", f"{total * 1000:.1f}", f"{whole * 1000:.1f}", f"{total / whole:.0%}"


def measure(engine: Engine, height: int, width: int, count: int) -> dict[str, float]:
    """Return the median seconds of every stage, by name."""
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    runs = [engine.run(frame).seconds for _ in range(count + 1)][1:]
    return {name: statistics.median(seconds[name] for seconds in runs) for name in engine.chain.names}


def as_markdown(tables: dict[str, list[tuple[str, ...]]]) -> str:
    """Format the page docs/roofline.md."""
    sections = [f"## {title}\n\n{markdown_table(rows)}" for title, rows in tables.items()]
    written = paragraph(f"Written by `{command()}`. {machine()}")
    return "\n\n".join(("# Share of the hardware's limit", written, *sections, paragraph(_READING))) + "\n"


if __name__ == "__main__":
    main()
