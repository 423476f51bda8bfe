"""Say what to install where an optional package is missing."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path(__file__).parents[1]


def install_hint(extra: str) -> str:
    """Return the command that installs an extra of setup.cfg, into the checkout or the installed package that runs."""
    if (_ROOT / "setup.cfg").is_file():
        return f'pip install -e "{_ROOT}[{extra}]"'
    return f'pip install "restorechain[{extra}]"'
