"""What stages find out about an image while they restore it, for whoever wants to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class BlurFinding:
    """The blur of one image.

    Attributes:
        kernel: ``(K, K)``, K odd, sum one; None where the image was left alone.
        text: What was found, or why the image was left alone.
    """

    kernel: Tensor | None
    text: str


_collected: ContextVar[list[BlurFinding] | None] = ContextVar("findings", default=None)


@contextmanager
def collected_findings() -> Iterator[list[BlurFinding]]:
    """Collect what stages report in the meantime, in their order."""
    found: list[BlurFinding] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def report_finding(finding: BlurFinding) -> None:
    """Report a finding to whoever collects them; to nobody otherwise."""
    found = _collected.get()
    if found is not None:
        found.append(finding)
