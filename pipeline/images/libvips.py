"""Set up libvips, and turn its errors into those of this project."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyvips

from pipeline.errors import ImageError, RefusedImage

# How libvips and its decoders say that a valid file is of a kind they lack.
_UNSUPPORTED = re.compile("unsupported|not supported|not configured|unimplemented", re.IGNORECASE)

# A cached operation would return the pixels that a file had before it was written anew.
pyvips.cache_set_max(0)


@contextmanager
def vips_errors_as(kind: type[ImageError], what: str) -> Iterator[None]:
    """Raise errors of libvips as ``kind``, in one line: ``what``, and the first line of its log as the reason.

    Raises:
        RefusedImage: if the file is valid, but has a feature that libvips lacks.
        OSError: if the reason is a full disk.
    """
    try:
        yield
    except pyvips.Error as error:
        if (full := os.strerror(errno.ENOSPC)) in error.detail:
            raise OSError(errno.ENOSPC, full) from None
        lines = [line.strip() for line in error.detail.splitlines() if line.strip()]
        if lines and _UNSUPPORTED.search(lines[0]):
            raise RefusedImage(f"is of a kind that cannot be read or written; convert it first ({lines[0]})") from None
        raise kind(f"{what} ({lines[0]})" if lines else what) from None
