"""Process-wide settings, to be made before torch is imported and threads start; imports nothing heavy."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def let_waiting_threads_sleep() -> None:
    """Have OpenMP's threads sleep while they wait for one another, unless ``OMP_WAIT_POLICY`` says otherwise.

    Threads that spin instead take the core from decoders, encoders, other programs, or the very thread they wait for.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next tensor, for the rest of the process.

    glibc gives every large block back to the system as soon as it is freed, and the system clears each page again
    when the next layer's result takes it: a third of a chain's CPU time. All threads are made to share the main
    thread's arena, because glibc gives back the memory of other arenas whatever the settings say. Threads that run
    already keep their own arena, so this has to be called before any is started. Other C libraries are left alone.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_ARENA_MAX, 1)


def collect_garbage_rarely() -> None:
    """Have Python search for cycles after 100,000 new objects instead of 700.

    Nearly all of them belong to modules that are being imported, and are never freed: the searches take a tenth of the
    time to the first result.
    """
    gc.set_threshold(100_000)


def give_back_freed_memory() -> None:
    """Have the C library give the memory that it kept back to the system, between pieces of work."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


@contextmanager
def ended_without_freeing() -> Iterator[None]:
    """End the process, after the command inside, without freeing all objects: torch's take nearly half a second.

    To be entered before anything else registers exit handlers, which run as usual, as threads are waited for.
    """
    code = 1

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
        os._exit(code)

    atexit.register(end)
    try:
        yield
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise
