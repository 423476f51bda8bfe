"""Weights of a run as shipped weights, if they are better.

Both the new and the shipped weights are evaluated by the standard protocols. The new ones replace the old ones only
with a higher mean PSNR, of which at most 45 dB count in each protocol: above that, a loss is invisible. They are
stored in half precision and evaluated as stored, and their card holds the results.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import mean

from pipeline.errors import ConfigError
from stages.registry import config_from
from stages.weights import SHIPPED_FOLDER, load_weights, read_card, save_weights, shipped_weights
from train.evaluation.evaluate import SHIPPED, print_results
from train.evaluation.harm import VISIBLE_PSNR
from train.evaluation.measurement import ProtocolResult
from train.evaluation.protocols import PROTOCOLS

NAMES = {name: PROTOCOLS[kind] for kind, names in SHIPPED.items() if kind not in ("chain", "harm") for name in names}


def ship_if_better(weights: Path, name: str, data: Path) -> bool:
    """Put ``weights`` among the shipped ones if their mean PSNR is higher; return whether it is.

    Raises:
        ConfigError: for a name that nothing is shipped under.
    """
    if name not in NAMES:
        raise ConfigError(f"ship: got {name!r}, expected one of {', '.join(NAMES)}")
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / f"{weights.stem}.safetensors"
        store_in_half(weights, candidate, [])
        new = list(NAMES[name](data, str(candidate)))
    old = list(NAMES[name](data, name)) if name in shipped_weights() else []
    print_results([*old, *new])
    if old and _visible_mean(new) <= _visible_mean(old):
        return False
    store_in_half(weights, SHIPPED_FOLDER / f"{name}.safetensors", new)
    return True


def _visible_mean(results: list[ProtocolResult]) -> float:
    return mean(min(VISIBLE_PSNR, result.restored) for result in results)


def store_in_half(source: Path, target: Path, results: list[ProtocolResult]) -> None:
    """Copy a weights file in half precision, with results in its card."""
    card = read_card(source)
    stage = config_from(card).build()
    load_weights(stage, source)
    metrics = {result.protocol: round(result.restored, 3) for result in results}
    save_weights(target, stage.half(), card.model_copy(update={"metrics": metrics}))
