"""The standard protocols run on the shipped weights, as a table: ``python -m train evaluate --data DIR``.

DIR holds the field's test sets by their usual names: CBSD68, Set5, Set14, and pairs/NAME/{blur,sharp}.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.chain.yaml_validation import did_you_mean
from pipeline.errors import ConfigError
from train.evaluation.protocols import PROTOCOLS, ProtocolResult

_CHAINS = Path(__file__).parents[2] / "configs"
# Shipped weights and chains by the protocol that evaluates them.
SHIPPED: dict[str, tuple[str, ...]] = {
    "denoising": ("denoise_blind", "denoise_blind_fast"),
    "deblurring": ("deblur_mild", "deblur_mild_fast", "deblur_motion"),
    "super_resolution": ("upscale_x2", "upscale_x2_fast"),
    "chain": (str(_CHAINS / "restore_x2.yaml"), str(_CHAINS / "restore_x2_fast.yaml")),
}


def evaluate_all(data: Path, only: Sequence[str] = (), weights: str | None = None) -> list[ProtocolResult]:
    """Run protocols, all of them if none is named, on the shipped weights or on others.

    Raises:
        ConfigError: for unknown protocols, and for other weights with more than one protocol.
        WeightsError: if weights are missing or of another task.
    """
    for name in only:
        if name not in PROTOCOLS:
            names = ", ".join(PROTOCOLS)
            raise ConfigError(f"only: unknown protocol {name!r}{did_you_mean(name, PROTOCOLS)} Valid: {names}")
    if weights and len(only) != 1:
        raise ConfigError("weights: goes with one protocol; name it by --only")
    results: list[ProtocolResult] = []
    for name in only or PROTOCOLS:
        for evaluated in [weights] if weights else SHIPPED[name]:
            results.extend(PROTOCOLS[name](data, evaluated))
    return results


_COLUMNS = ("protocol", "weights", "doing nothing", "restored", "gain", "images better")


def _cells(result: ProtocolResult) -> tuple[str, ...]:
    restored = f"{result.restored:.2f}"
    if result.nothing is None:
        return result.protocol, result.weights, "unchanged", restored, "", ""
    gain = f"{result.restored - result.nothing:+.2f}"
    return result.protocol, result.weights, f"{result.nothing:.2f}", restored, gain, f"{result.better:.0%}"


def print_results(results: list[ProtocolResult]) -> None:
    """Print the table."""
    table = Table(*_COLUMNS)
    for result in results:
        table.add_row(*_cells(result))
    Console().print(table)


def as_markdown(results: list[ProtocolResult]) -> str:
    """Format the table as the page docs/quality.md."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *(_cells(result) for result in results)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"# Quality of the shipped weights\n\nWritten by `python -m train evaluate`.\n\n{table}\n"
