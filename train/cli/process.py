"""Set the process of a command up: its packages, its memory, its log, and how much Lightning says."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec

from pipeline.device.process import keep_freed_memory
from pipeline.errors import ConfigError
from stages.extras import install_hint

_PACKAGES = ("imagesize", "lightning", "tensorboard", "timm")

# Those of Lightning's warnings that need nothing from the user.
_NOISE = (
    r"Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",
    r".*LeafSpec.* is deprecated",
)


def prepare() -> None:
    """Set the process and its log up before torch is imported.

    Raises:
        ConfigError: if a package that training needs is missing.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise ConfigError(f"training needs {', '.join(missing)}; {install_hint('train')}")
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
