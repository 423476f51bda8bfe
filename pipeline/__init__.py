"""Chains of restoration stages: ``Chain.load("chain.yaml").restore(image)``.

For many images, ``Engine(chain, backend="auto").run(image).pixels``: made once, and on a CPU as fast as the command
line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.chain.chain import Chain
    from pipeline.engine.engine import Engine

__all__ = ["Chain", "Engine"]
_PLACES = {"Chain": "pipeline.chain.chain", "Engine": "pipeline.engine.engine"}


def __getattr__(name: str) -> Any:
    # Lazy, because torch takes seconds to import and `--help` needs none of it.
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
