"""Where the command line speaks: results on stdout, errors in red on stderr, and never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from pipeline.errors import ConfigError, RestorationError, one_line

OUT = Console(highlight=False, markup=False, soft_wrap=True)
_ERRORS = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def printable(text: str) -> str:
    """Return a text as a terminal can show it; file names need not be valid Unicode."""
    return text.encode("utf-8", "replace").decode()


def say_error(text: str) -> None:
    """Print an error."""
    _ERRORS.print(printable(text), style="red")


@contextmanager
def explained() -> Iterator[None]:
    """Turn every exception into a readable line and an exit code; users never see a traceback."""
    try:
        yield
    except ConfigError as error:
        say_error(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        say_error("interrupted before anything was started")
        sys.exit(130)
    except (RestorationError, OSError) as error:
        say_error(one_line(error))
        sys.exit(1)
    except Exception as error:
        say_error(f"internal error, please report it: {type(error).__name__}: {error}")
        sys.exit(1)
