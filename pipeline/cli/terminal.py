"""What the command line prints: results on stdout, errors in red on stderr."""

from __future__ import annotations

from rich.console import Console

from pipeline.text import printable

OUT = Console(highlight=False, markup=False, soft_wrap=True)
_ERRORS = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def say_error(text: str) -> None:
    """Print an error."""
    _ERRORS.print(printable(text), style="red")
