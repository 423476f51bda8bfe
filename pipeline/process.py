"""What is told to the process before torch is imported and the first thread is started. It imports nothing heavy."""

from __future__ import annotations

import ctypes
import os
import sys

# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def let_waiting_threads_sleep() -> None:
    """Have OpenMP's threads sleep while they wait for one another; ``OMP_WAIT_POLICY`` in the environment goes first.

    Spinning ones keep decoders, encoders and other programs, or the very thread they wait for, from the core.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next tensor, for the rest of the process.

    glibc gives every large block back to the system as soon as it is freed, and the system clears each page again
    when the next layer's result takes it: a third of a chain's CPU time. New threads share the main thread's memory,
    because what they have of their own is given back whatever was said; so it has to be said before threads are
    started, which have theirs already. Other C libraries are left as they are.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_ARENA_MAX, 1)
