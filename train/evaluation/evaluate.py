"""Rerun the standard protocols: ``python -m train.evaluate --data DIR [-o docs/quality.md]``.

DIR holds the field's test sets by their usual names: CBSD68, Set5, Set14, and pairs/NAME/{blur,sharp}.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.device.process import keep_freed_memory
from pipeline.errors import ConfigError
from stages.errors import WeightsError
from train.evaluation.protocols import PROTOCOLS, ProtocolResult

_CHAINS = Path(__file__).parents[2] / "configs"
# What is shipped, by the protocols that it is judged by.
SHIPPED: dict[str, tuple[str, ...]] = {
    "denoising": ("denoise_blind", "denoise_blind_fast"),
    "deblurring": ("deblur_mild", "deblur_mild_fast"),
    "super_resolution": ("upscale_x2", "upscale_x2_fast"),
    "chain": (str(_CHAINS / "restore_x2.yaml"), str(_CHAINS / "restore_x2_fast.yaml")),
}


def main() -> int:
    """Run the command line; return its exit code."""
    options = build_parser().parse_args()
    if options.weights and len(options.only) != 1:
        print("--weights goes with --only and one protocol", file=sys.stderr)
        return 2
    keep_freed_memory()
    figures: list[ProtocolResult] = []
    try:
        for name in options.only or PROTOCOLS:
            for weights in [options.weights] if options.weights else SHIPPED[name]:
                figures.extend(PROTOCOLS[name](options.data, weights))
    except (ConfigError, WeightsError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print_figures(figures)
    if options.output:
        options.output.write_text(as_markdown(figures), encoding="utf-8")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of test sets")
    parser.add_argument("--only", nargs="+", choices=list(PROTOCOLS), default=[], help="some protocols")
    parser.add_argument("--weights", help="other weights (or chain) than the shipped ones")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="write the table there")
    return parser


_COLUMNS = ("protocol", "weights", "doing nothing", "restored", "gain", "images better")


def _cells(figure: ProtocolResult) -> tuple[str, ...]:
    restored = f"{figure.restored:.2f}"
    if figure.nothing is None:
        return figure.protocol, figure.weights, "unchanged", restored, "", ""
    gain = f"{figure.restored - figure.nothing:+.2f}"
    return figure.protocol, figure.weights, f"{figure.nothing:.2f}", restored, gain, f"{figure.better:.0%}"


def print_figures(figures: list[ProtocolResult]) -> None:
    """Print the table."""
    table = Table(*_COLUMNS)
    for figure in figures:
        table.add_row(*_cells(figure))
    Console().print(table)


def as_markdown(figures: list[ProtocolResult]) -> str:
    """Format the table as the page docs/quality.md."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *(_cells(figure) for figure in figures)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"# Quality of the shipped weights\n\nWritten by `python -m train.evaluate`.\n\n{table}\n"


if __name__ == "__main__":
    sys.exit(main())
