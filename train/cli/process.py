"""Set the process of a command up: its memory, its log, and how much Lightning says."""

from __future__ import annotations

import logging
import warnings

from pipeline.device.process import keep_freed_memory

# Those of Lightning's warnings that need nothing from the user.
_NOISE = (
    r"Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",
    r".*LeafSpec.* is deprecated",
)


def prepare() -> None:
    """Set the process and its log up before torch is imported."""
    keep_freed_memory()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("train").setLevel(logging.INFO)


def silence_lightning() -> None:
    """Leave Lightning's warnings only; its import sets its loggers up, so this comes after it."""
    logging.getLogger("lightning").propagate = False  # it has a handler of its own
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for noise in _NOISE:
        warnings.filterwarnings("ignore", message=noise)
