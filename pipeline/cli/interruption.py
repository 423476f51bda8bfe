"""What Ctrl-C does: the first ends a run in order, within a tile; the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130


@contextmanager
def ended_at_once_by_a_second() -> Iterator[None]:
    """Raise KeyboardInterrupt inside at the first Ctrl-C, and leave the process at the second.

    What other threads are reading, computing or writing is finished after the first. The second leaves hidden files
    as a kill does; the next run replaces them.
    """
    if threading.current_thread() is not threading.main_thread():  # only it gets signals
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        os._exit(INTERRUPTED)

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, leave)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
