"""What the command line prints: results on stdout, errors in red on stderr."""

from __future__ import annotations

from rich.console import Console

OUT = Console(highlight=False, markup=False, soft_wrap=True)
_ERRORS = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def printable(text: str) -> str:
    """Return a text as a terminal can show it; file names need not be valid Unicode."""
    return text.encode("utf-8", "replace").decode()


def say_error(text: str) -> None:
    """Print an error."""
    _ERRORS.print(printable(text), style="red")
