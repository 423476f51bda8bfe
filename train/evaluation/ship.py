"""Ship a run's weights, if they are better: ``python -m train.ship RUN/unet.safetensors --as deblur_mild --data DIR``.

Both the new and the shipped weights go through the standard protocols. The new ones replace the old ones only with a
higher mean PSNR. They are stored in half precision and judged as stored, and their card carries the figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean

from stages.errors import WeightsError
from stages.registry import config_from
from stages.weights import SHIPPED_FOLDER, load_weights, read_card, save_weights, shipped_weights
from train.evaluation.evaluate import SHIPPED, print_figures
from train.evaluation.protocols import PROTOCOLS, ProtocolResult

NAMES = {name: PROTOCOLS[kind] for kind, names in SHIPPED.items() if kind != "chain" for name in names}


def main() -> int:
    """Run the command line; return its exit code."""
    options = build_parser().parse_args()
    try:
        shipped = ship(options.weights, options.name, options.data)
    except (WeightsError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"shipped as {options.name}" if shipped else f"not shipped: {options.name} is better as it is")
    return 0 if shipped else 1


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(prog="python -m train.ship", description=__doc__)
    parser.add_argument("weights", type=Path, help="weights file that a run ended with")
    parser.add_argument("--as", dest="name", required=True, choices=list(NAMES), help="the shipped name")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of test sets")
    return parser


def ship(weights: Path, name: str, data: Path) -> bool:
    """Put ``weights`` among the shipped ones if the protocols say so; tell whether."""
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / f"{weights.stem}.safetensors"
        store_in_half(weights, candidate, [])
        new = list(NAMES[name](data, str(candidate)))
    old = list(NAMES[name](data, name)) if name in shipped_weights() else []
    print_figures([*old, *new])
    if old and mean(figure.restored for figure in new) <= mean(figure.restored for figure in old):
        return False
    store_in_half(weights, SHIPPED_FOLDER / f"{name}.safetensors", new)
    return True


def store_in_half(source: Path, target: Path, figures: list[ProtocolResult]) -> None:
    """Copy a weights file in half precision, with figures in its card."""
    card = read_card(source)
    stage = config_from(card).build()
    load_weights(stage, source)
    metrics = {figure.protocol: round(figure.restored, 3) for figure in figures}
    save_weights(target, stage.half(), card.model_copy(update={"metrics": metrics}))


if __name__ == "__main__":
    sys.exit(main())
