"""Texts made fit to be printed."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text as a terminal can show it; file names need not be valid Unicode."""
    return text.encode("utf-8", "replace").decode()
