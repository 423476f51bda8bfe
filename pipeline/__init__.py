"""Chains of restoration stages: ``Engine.load("chain.yaml").run(image).pixels``.

An engine is made once and then runs as many images as wanted, as fast as the command line does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.chain.chain import Chain
    from pipeline.engine.engine import Engine
    from pipeline.engine.restoration import Restoration

__all__ = ["Chain", "Engine", "Restoration"]
_MODULES = {
    "Chain": "pipeline.chain.chain",
    "Engine": "pipeline.engine.engine",
    "Restoration": "pipeline.engine.restoration",
}


def __getattr__(name: str) -> Any:
    # Lazy, because torch takes seconds to import and `--help` needs none of it.
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
