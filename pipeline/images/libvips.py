"""Set up libvips, and turn its errors into those of this project."""

import errno
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pyvips

from pipeline.errors import ImageError, RefusedImage

# How libvips and its decoders say that a valid file is of a kind they lack.
_UNSUPPORTED = re.compile("unsupported|not supported|not configured|unimplemented|not implemented", re.IGNORECASE)


def _text_of(pointer: Any) -> str:
    """Return a text of C as UTF-8, else as Latin-1."""
    content = b"NULL" if pointer == pyvips.ffi.NULL else pyvips.ffi.string(pointer)
    try:
        return str(content.decode())
    except UnicodeDecodeError:
        return str(content.decode("latin-1"))


# pyvips takes all texts for UTF-8. A name of a file or profile that is not would raise in its log handler, which prints
# a traceback, and in its error, which then stays in libvips and fails every later image.
for _module in (pyvips, pyvips.error, pyvips.gvalue):
    _module._to_string = _text_of

# A cached operation would return the pixels that a file had before it was written anew.
pyvips.cache_set_max(0)


Done = TypeVar("Done")


class _Library:
    """Runs work of many threads at once, and alone what fails: libvips keeps one text of errors for all of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = self._begun = self._waiting = 0

    def run(self, work: Callable[[], Done]) -> Done:
        begun = self._enter()
        try:
            return work()
        except pyvips.Error:
            if self._begun == begun:
                raise
        finally:
            self._leave()
        return self._run_alone(work)

    def _enter(self) -> int:
        """Return what ``_begun`` is for as long as no other thread is there."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)
            if not self._running:
                pyvips.vips_lib.vips_error_clear()  # of warnings that made nothing fail
            self._running += 1
            self._begun += 1
            return self._begun if self._running == 1 else -1

    def _leave(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def _run_alone(self, work: Callable[[], Done]) -> Done:
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._running)
                pyvips.vips_lib.vips_error_clear()
                return work()
            finally:
                self._waiting -= 1
                self._changed.notify_all()


_library = _Library()


def run_vips(work: Callable[[], Done]) -> Done:
    """Run work that uses libvips, and return what it does. It may be run a second time, and must not call this itself.

    Raises:
        pyvips.Error: with libvips' log of this work alone.
    """
    return _library.run(work)


@contextmanager
def vips_errors_as(make: Callable[[str], ImageError]) -> Iterator[None]:
    """Raise errors of libvips as the error that ``make`` returns for the first line of libvips' log.

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
            raise RefusedImage(f"has a feature that is not supported ({lines[0]}); convert it first") from None
        raise make(lines[0] if lines else "") from None
