"""Chains of restoration stages: ``Chain.load("chain.yaml").restore(image)``."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.chain import Chain

__all__ = ["Chain"]


def __getattr__(name: str) -> Any:
    # Lazy, because torch takes seconds to import and `--help` needs none of it.
    if name == "Chain":
        from pipeline.chain import Chain

        return Chain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
