"""Exceptions whose text is shown to users, without a traceback.

RestorationError
├── ConfigError          a YAML file or an option is wrong; nothing was started   (exit code 2)
├── WeightsError         a weights file is missing, damaged or of another network   (exit code 2)
├── ConversionError      another engine cannot run a stage, which then runs in torch
├── ImageError
│   ├── RefusedImage     a file that is understood, but must not or cannot be restored   (status refused)
│   │   └── RefusedVideo
│   ├── BrokenImage      a file that cannot be read or written   (status failed)
│   │   └── BrokenVideo
│   └── LostContent      a result that lacks something of its source, where that is not allowed   (status failed)
├── OutOfMemory          not even the smallest tile fits   (status failed)
└── OutOfSpace           the disk is full; ends the run   (exit code 1)
"""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from stages.errors import RestorationError, WeightsError

__all__ = [
    "BrokenImage",
    "BrokenVideo",
    "ConfigError",
    "ConversionError",
    "ImageError",
    "LostContent",
    "OutOfMemory",
    "OutOfSpace",
    "RefusedImage",
    "RefusedVideo",
    "RestorationError",
    "WeightsError",
    "needing_space",
    "one_line",
    "suffixes_of",
]


class ConfigError(RestorationError):
    """A YAML file or an option is wrong; the text holds one line per error."""


class ConversionError(RestorationError):
    """A stage cannot be converted for another engine, or its result there is not torch's."""


Reason = Literal[
    "damaged", "cut off", "unsupported", "too large", "unsafe", "in the way", "lost content", "cannot be written"
]
"""Why a file was not restored, in a word or two for the run log."""


class ImageError(RestorationError):
    """One file could not be restored; the rest of the batch goes on.

    Attributes:
        reason: Why, for the run log; the text says it in full.
    """

    reason: Reason = "unsupported"

    def __init__(self, text: str, reason: Reason | None = None) -> None:
        super().__init__(text)
        if reason is not None:
            self.reason = reason


class RefusedImage(ImageError):  # noqa: N818  (a status, not a fault of the program)
    """A file that is understood, but must not or cannot be restored."""


class BrokenImage(ImageError):  # noqa: N818
    """A file that cannot be read or written."""

    reason = "damaged"


class RefusedVideo(RefusedImage):
    """A video that is understood, but must not or cannot be restored."""


class BrokenVideo(BrokenImage):
    """A video that cannot be read or written."""


class LostContent(ImageError):  # noqa: N818
    """A result lacks something of its source, which the option strict does not allow."""

    reason = "lost content"


class OutOfMemory(RestorationError):  # noqa: N818
    """Not even the smallest tile fits into memory."""


class OutOfSpace(RestorationError):  # noqa: N818
    """The disk is full: no further result could be written."""


@contextmanager
def needing_space() -> Iterator[None]:
    """Raise OutOfSpace where the system reports a full disk or an exhausted quota."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpace("no space left on the disk") from error
        raise


def one_line(error: Exception) -> str:
    """Return an error as one line for a user; an unexpected one is preceded by its type."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split())
    return text if isinstance(error, RestorationError) else f"{type(error).__name__}: {text}"


def suffixes_of(paths: Iterable[Path]) -> str:
    """List the suffixes of files, for a message; a file without one by its name."""
    found = sorted({path.suffix.lower() or path.name for path in paths})
    return ", ".join(found[:10] + ["..."] * (len(found) > 10))
