"""The standard protocols run on the shipped weights, as a table: ``python -m train evaluate --data DIR``.

DIR holds the field's test sets by their usual names: CBSD68, Set5, Set14, pairs/NAME/{blur,sharp}, and
real_noise/polyu_512/{noisy,clean}, screens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.chain.yaml_validation import did_you_mean
from pipeline.errors import ConfigError
from train.evaluation.measurement import ProtocolResult
from train.evaluation.protocols import PROTOCOLS

_CHAINS = Path(__file__).parents[2] / "configs"
# Shipped weights and chains by the protocol that evaluates them.
SHIPPED: dict[str, tuple[str, ...]] = {
    "denoising": ("denoise_blind", "denoise_blind_fast", "denoise_camera", "denoise_camera_fast"),
    "deblurring": ("deblur", "deblur_mild_fast"),
    "super_resolution": ("upscale_x2", "upscale_x2_fast"),
    "chain": (str(_CHAINS / "restore_x2.yaml"), str(_CHAINS / "restore_x2_fast.yaml")),
}
SHIPPED["harm"] = SHIPPED["chain"]


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


_COLUMNS = ("protocol", "weights", "doing nothing", "restored", "gain", "images better", "worse by over 0.1", "worst")


def _cells(result: ProtocolResult) -> tuple[str, ...]:
    restored = f"{result.restored:.2f}"
    if result.nothing is None:
        return result.protocol, result.weights, "unchanged", restored, "", "", "", ""
    gain = f"{result.restored - result.nothing:+.2f}"
    single = f"{result.better:.0%}", f"{result.worse:.0%}", f"{result.worst:+.2f}"
    return result.protocol, result.weights, f"{result.nothing:.2f}", restored, gain, *single


def print_results(results: list[ProtocolResult]) -> None:
    """Print the table."""
    table = Table(*_COLUMNS)
    for result in results:
        table.add_row(*_cells(result))
    Console().print(table)


_HARM_PAGE = """# Where the shipped chains do harm

Written by `restorechain evaluate --only harm`. The middle 256x256 pixels of 20 photos of Set14 and CBSD68, halved for
chains that upscale by 2, as inputs of many kinds, against bicubic upscaling ("doing nothing"); 20 photos of PolyU, and
20 parts of four screens. PSNR over RGB in dB, at most 45 an image. Blurs are those of the unreduced photos. Clean
inputs and screens are reduced by Lanczos, all others by bicubic. Shallow focus is to stay as it is.
"""
_QUALITY_PAGE = """# Quality of the shipped weights

Written by `restorechain evaluate`.
"""


def as_markdown(results: list[ProtocolResult], only: Sequence[str] = ()) -> str:
    """Format the table as the page docs/quality.md, or docs/harm.md where that is the only protocol."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *(_cells(result) for result in results)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    page = _HARM_PAGE if list(only) == ["harm"] else _QUALITY_PAGE
    return f"{page}\n{table}\n"
