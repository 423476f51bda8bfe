"""Time of a chain on one 640x360 frame against other ways: ``python benchmarks/chain_speed.py [-o FILE.md]``.

The plain way is what a script around the same networks does: every network eager in float32 and NCHW, batch norm not
folded, and between two stages the image goes back to the host as a NumPy array. Each way has a process of its own, as
the memory settings of one way would otherwise serve all; they run in turn, so that the ratio holds while the
machine's speed drifts. Two more run the same networks: OpenCV the whole chain's, exported to ONNX, and spandrel the
one that it knows, the DnCNN of the paper. Beside them run what costs next to nothing (bicubic; non-local means, bicubic
and unsharp mask) and, where a file of it is given, OpenCV's FSRCNN. They do less: their times are prices, not a race.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Column, Table
from skimage import data
from ways import Way, bicubic_way, classical_way, fsrcnn_way, opencv_way, our_way, plain_way, spandrel_way

from pipeline.backends.choice import choose_backend
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig, load_chain_config
from pipeline.device.computing import cpu_computes_in_bf16
from pipeline.device.find import find_device
from pipeline.errors import ConfigError
from stages.dncnn import DnCNNConfig
from stages.extras import install_hint

PLAIN = "plain"
_ENGINES = (("ncnn", "ncnn", "fp32"), ("OpenVINO", "openvino", "fp32"), ("OpenVINO", "openvino", "int8"))
_COLUMNS = ("median ms", "from, to", "frames/s", "plain / it", "largest difference", "PSNR to plain, dB")
_READING = (
    "Every way has a process of its own; they run in turn, and the ratio is the median of the runs' own. "
    "Plain: the same networks eager in float32 and NCHW, batch norm not folded, by way of the host between stages; "
    "its threads spin while they wait (OpenMP's default), those of ours sleep. By OpenCV: the same networks with batch "
    "norm folded, exported to ONNX for this size, by way of the host, too. "
    "Differences are in levels of 255, to the plain way's image; the fast chain and the last ways do less work, for "
    "less quality."
)
DEFAULT_CHAIN = Path(__file__).parents[1] / "configs" / "restore_x2.yaml"
FAST_CHAIN = DEFAULT_CHAIN.with_name("restore_x2_fast.yaml")


def main() -> None:
    """Run the command line."""
    options = build_parser().parse_args()
    if options.fsrcnn and not hasattr(cv2, "dnn_superres"):
        sys.exit(
            f"--fsrcnn: this OpenCV {cv2.__version__} has no dnn_superres; in an environment of its own, "
            'pip install "opencv-contrib-python-headless<5" instead of opencv-python-headless'
        )
    missing = [package for package in ("onnx", "spandrel") if not find_spec(package)]
    if missing:
        sys.exit(f"needs {' and '.join(missing)}: {install_hint('bench')}")
    width, height = map(int, options.size.split("x"))
    frame = as_frame(data.coffee(), height, width)
    tables: dict[str, list[tuple[str, ...]]] = {}
    for title, ways in races(options).items():
        for run, rows in enumerate(race(ways, frame, options.runs), 1):
            tables[title] = [(f"way, {run} run{'s'[: run > 1]}", *_COLUMNS), *rows]
            if options.output:  # at once: a table of fewer runs is better than none
                options.output.write_text(as_markdown(tables, options.size), encoding="utf-8")
        show(tables[title], title)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--chain", type=Path, default=DEFAULT_CHAIN)
    parser.add_argument("--fast", type=Path, default=FAST_CHAIN, metavar="CHAIN", help="one that does less, as well")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto")
    parser.add_argument("--precision", default="auto", help="of ours in torch; the plain way is always fp32")
    parser.add_argument("--size", default="640x360", help="width x height in pixels")
    parser.add_argument("-n", "--runs", type=int, default=3, help="counted runs of each")
    parser.add_argument("--fsrcnn", type=Path, metavar="FSRCNN_x2.pb", help="also run it by OpenCV's dnn_superres")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="write the page there, after each run")
    return parser


def races(options: argparse.Namespace) -> dict[str, dict[str, tuple]]:
    """Return by title what runs in turn: how each way is made, and from what; the plain way comes first."""
    config, ways = load_chain_config(options.chain).at_full_strength(), peers(options)
    if options.device in ("auto", "cpu"):
        ways["the same networks by OpenCV"] = (opencv_way, config)
    dncnn = ChainConfig(stages=(DnCNNConfig(),))
    known_to_spandrel = {
        PLAIN: (plain_way, dncnn, options.device),
        "spandrel": (spandrel_way, dncnn),
        "restorechain": (our_way, dncnn, options.device, options.precision, "auto"),
    }
    return {options.chain.stem: ways, "DnCNN of the paper, random weights": known_to_spandrel}


def peers(options: argparse.Namespace) -> dict[str, tuple]:
    """Return by name how each way of restoring a frame is made, and from what; the plain way comes first."""
    config = load_chain_config(options.chain).at_full_strength()
    ways: dict[str, tuple] = {PLAIN: (plain_way, config, options.device)}
    for label, ours in (
        ("restorechain", config),
        (options.fast.stem, load_chain_config(options.fast).at_full_strength()),
    ):
        ways[label] = (our_way, ours, options.device, options.precision, "torch")
        if cpu_computes_in_bf16():
            ways[f"{label}, bf16"] = (our_way, ours, options.device, "bf16", "torch")
        ways[f"{label}, backend auto"] = (our_way, ours, options.device, options.precision, "auto")
        for engine, backend, precision in _ENGINES:
            with suppress(ConfigError):
                choose_backend(backend, find_device(options.device), precision)
                ways[f"{label}, {engine} {precision}"] = (our_way, ours, options.device, precision, backend)
    scale = Chain.load(options.chain).scale
    ways |= {"bicubic": (bicubic_way, scale), "non-local means, bicubic, unsharp mask": (classical_way, scale)}
    if options.fsrcnn:
        ways["FSRCNN by OpenCV's dnn_superres (upscaling only)"] = (fsrcnn_way, options.fsrcnn, scale)
    return ways


def race(ways: dict[str, tuple], frame: np.ndarray, runs: int) -> Iterator[list[tuple[str, ...]]]:
    """Run ways in turn and yield their rows after each run."""
    with ExitStack() as stack:
        running = {name: stack.enter_context(process(make, *arguments)) for name, (make, *arguments) in ways.items()}
        for seconds, results in time_in_turn(running, frame, runs):
            yield [row(name, seconds, results) for name in seconds]


def as_frame(photo: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a photo cut and resized to a frame, with noise of sigma 10."""
    factor = max(height / photo.shape[0], width / photo.shape[1])
    resized = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    resized = cv2.copyMakeBorder(resized, 0, 1, 0, 1, cv2.BORDER_REPLICATE)[:height, :width]
    noisy = resized + np.random.default_rng(0).normal(0, 10, resized.shape)
    return noisy.clip(0, 255).round().astype(np.uint8)


def process(make_way: Callable[..., Way], *arguments: object) -> Executor:
    """Start a process that holds one way, ready to run."""
    executor = ProcessPoolExecutor(1, get_context("spawn"), initializer=partial(_hold, make_way, *arguments))
    of_command_line = {"OMP_WAIT_POLICY": "PASSIVE"} if make_way is our_way else {}
    with patch.dict(os.environ, of_command_line):
        executor.submit(int).result()  # starts it
    return executor


def _hold(make_way: Callable[..., Way], *arguments: object) -> None:
    cv2.setNumThreads(torch.get_num_threads())
    torch.manual_seed(0)  # what has random weights has the same in all processes
    _hold.way = make_way(*arguments)  # type: ignore[attr-defined]


def timed(frame: np.ndarray) -> tuple[float, np.ndarray]:
    """Run the way that this process holds; return its seconds and its result."""
    started = time.perf_counter()
    result = _hold.way(frame)  # type: ignore[attr-defined]
    return time.perf_counter() - started, result


def time_in_turn(
    ways: dict[str, Executor], frame: np.ndarray, runs: int
) -> Iterator[tuple[dict[str, list[float]], dict[str, np.ndarray]]]:
    """Run every way in turn, once to warm up and ``runs`` times counted; yield all seconds and the last results."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, np.ndarray] = {}
    for run in range(runs + 1):
        for name, way in ways.items():
            taken, results[name] = way.submit(timed, frame).result()
            if run:
                seconds[name].append(taken)
        if run:
            yield seconds, results


def row(name: str, seconds: dict[str, list[float]], results: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Return a way's cells; the ratio is the median of the runs' own."""
    values = [value * 1000 for value in seconds[name]]
    ratios = [plain / other for plain, other in zip(seconds[PLAIN], seconds[name], strict=True)]
    difference = results[name].astype(float) - results[PLAIN]
    error = (difference**2).mean()
    return (
        name,
        f"{statistics.median(values):.1f}",
        f"{min(values):.1f} to {max(values):.1f}",
        f"{1000 / statistics.median(values):.2f}",
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        f"{np.abs(difference).max():.0f}",
        f"{10 * np.log10(255**2 / error):.1f}" if error else "equal",
    )


def show(rows: list[tuple[str, ...]], title: str) -> None:
    """Print the table."""
    table = Table(Column(rows[0][0], overflow="fold", min_width=20), *rows[0][1:], title=title)
    for cells in rows[1:]:
        table.add_row(*cells)
    Console().print(table)


def as_markdown(tables: dict[str, list[tuple[str, ...]]], size: str) -> str:
    """Format the page docs/chain_speed.md."""
    written = f"Written by `{command()}`: one frame of {size}. {machine()}"
    sections = [f"## {title}\n\n{markdown_table(rows)}" for title, rows in tables.items()]
    return "\n\n".join(("# One frame, all ways", paragraph(written), *sections, paragraph(_READING))) + "\n"


def paragraph(text: str) -> str:
    """Break a text into lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def markdown_table(rows: list[tuple[str, ...]]) -> str:
    """Format rows, of which the first names the columns."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (rows[0], ("---",) * len(rows[0]), *rows[1:]))


def command() -> str:
    """Return the command line, without folders that only this machine has."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return " ".join([f"python benchmarks/{Path(sys.argv[0]).name}", *words])


def machine() -> str:
    """Return the hardware, the versions and the commit."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{processor()}{gpu}, {torch.get_num_threads()} threads, torch {torch.__version__}, OpenCV {cv2.__version__}, "
        f"commit {commit}, {time.strftime('%Y-%m-%d')}."
    )


def processor() -> str:
    """Return the processor's name, or its architecture where the system gives no name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
