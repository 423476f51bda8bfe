"""Run the command line many times in one other process, which may crash, hang or take too much memory."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 30.0  # seconds
_START = 120.0
_ADDRESS_SPACE = 12 * 2**30  # far above the limit that tests hold, for the machine's sake


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: The exit code; that of a signal is negative.
        output: All that was printed, by libraries too.
        seconds: From its start to its end.
        peak: Bytes of memory at most, by the operating system's count.
        hung: It was ended after ``LONGEST`` seconds.
    """

    code: int
    output: str
    seconds: float
    peak: int
    hung: bool = False


class Worker:
    """A process that runs one command after the other; a new one is started after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str | Path, folder: Path) -> Ended:
        """Run one command in a folder."""
        process = self._started()
        began = time.monotonic()
        _send(process, {"arguments": [os.fspath(argument) for argument in arguments], "folder": os.fspath(folder)})
        answer = _answer(process, LONGEST)
        if answer:
            return Ended(**json.loads(answer))
        hung = process.poll() is None and time.monotonic() - began >= LONGEST
        self.close()
        assert process.returncode is not None
        return Ended(process.returncode, "", time.monotonic() - began, 0, hung=hung)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "300"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.command"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            if not _answer(self._process, _START):
                raise RuntimeError("the process that runs the commands did not start")
        return self._process


def _send(process: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Return the next line; nothing after these seconds, or if the process has ended."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline() if ready else b""


def run_here(arguments: list[str], folder: Path) -> Ended:
    """Run one command in this process; also what C libraries print is caught."""
    import run_pipeline

    os.chdir(folder)
    _forget_peak()
    began = time.perf_counter()
    with tempfile.TemporaryFile() as printed:
        kept = [os.dup(1), os.dup(2)]
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        try:
            run_pipeline.app(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(kept, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)
        printed.seek(0)
        output = printed.read().decode("utf-8", "replace")
    return Ended(code, output, time.perf_counter() - began, _peak())


def _forget_peak() -> None:
    """Make the peak of this process what it takes now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _serve() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    import pipeline.batch.batch
    import pipeline.engine.engine  # noqa: F401

    answers.write(b"ready\n")
    answers.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        ended = run_here(request["arguments"], Path(request["folder"]))
        answers.write(json.dumps(asdict(ended)).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
