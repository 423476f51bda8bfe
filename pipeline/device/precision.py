"""Names of precisions; imports nothing heavy."""

from __future__ import annotations

_LEAST_EXACT_FIRST = ("int8", "bf16", "fp16", "fp32")
PRECISIONS = ("auto", *reversed(_LEAST_EXACT_FIRST))


def precisions_as_exact_as(name: str) -> tuple[str, ...]:
    """Return the precisions whose results are at least as exact as those of the named one.

    ``auto`` counts as fp16, the least exact one that it chooses.
    """
    return _LEAST_EXACT_FIRST[_LEAST_EXACT_FIRST.index("fp16" if name == "auto" else name) :]
