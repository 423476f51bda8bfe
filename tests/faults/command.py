"""Run the command line many times in one other process, which may crash, hang, be killed or take too much memory."""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 30.0  # seconds of a processor; ten times as many on the clock, where others share it
_START = 300.0
_ADDRESS_SPACE = 12 * 2**30  # far above the limit that tests hold, for the machine's sake


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: The exit code; that of a signal is negative.
        output: All that was printed, by libraries too.
        seconds: From its start to its end.
        peak: Bytes of memory at most, by the operating system's count.
        hung: It was ended after ``LONGEST``.
        stopping: Seconds from the first signal to the end; None if it ended before.
    """

    code: int
    output: str
    seconds: float
    peak: int
    hung: bool = False
    stopping: float | None = None


class Worker:
    """A process that runs one command after the other; a new one is started after a crash.

    Args:
        modules: What it imports before the first command, so that the imports are no part of the commands.
    """

    def __init__(self, modules: Iterable[str] = ("pipeline.batch.batch", "pipeline.engine.engine")) -> None:
        self._modules = list(modules)
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str | Path, folder: Path) -> Ended:
        """Run one command in a folder; it is ended after ``LONGEST`` seconds."""
        return self._ask(arguments, folder)

    def run_and_stop(
        self, *arguments: str | Path, folder: Path, after: float, by: int, again: float | None = None
    ) -> Ended:
        """Run one command in a child of the process, and send it a signal.

        Args:
            arguments: The command.
            folder: Its working folder.
            after: Seconds until the signal.
            by: The signal.
            again: Seconds from the first signal to the second, if there is one.
        """
        return self._ask(arguments, folder, after=after, by=by, again=again)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ask(self, arguments: Iterable[str | Path], folder: Path, **stop: Any) -> Ended:
        process = self._started()
        began, used = time.monotonic(), _processor_seconds(process.pid)
        request = {"arguments": [os.fspath(argument) for argument in arguments], "folder": os.fspath(folder), **stop}
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        hung = False
        while not (answer := _answer(process, 1)) and process.poll() is None and not hung:
            seconds = time.monotonic() - began
            hung = seconds > 10 * LONGEST + stop.get("after", 0) or _processor_seconds(process.pid) - used > LONGEST
        if answer:
            return Ended(**json.loads(answer))
        self.close()
        return Ended(process.returncode, "", time.monotonic() - began, 0, hung=hung)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.command", *self._modules],
                cwd=ROOT,
                env=os.environ | single | {"PYTHONPATH": str(ROOT), "COLUMNS": "300"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            if not _answer(self._process, _START):
                raise RuntimeError("the process that runs the commands did not start")
        return self._process


def _processor_seconds(process: int) -> float:
    """Return what a process has used; that of children which have ended is not in it (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        with _printing_to(printed):
            try:
                run_pipeline.app(arguments)
            except SystemExit as end:
                code = int(end.code or 0)
        printed.seek(0)
        output = printed.read()
    return Ended(code, output, time.perf_counter() - began, _peak())


@contextmanager
def _printing_to(file: IO[str]) -> Iterator[None]:
    """Send what Python and C print to a file."""
    kept = [os.dup(1), os.dup(2)]
    for descriptor in (1, 2):
        os.dup2(file.fileno(), descriptor)
    try:
        with redirect_stdout(file), redirect_stderr(file):
            yield
    finally:
        file.flush()
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _run_and_stop(arguments: list[str], folder: Path, after: float, by: int, again: float | None) -> Ended:
    """Run one command in a child, which has all imports already, and send it one signal or two."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile() as report:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            Path(report.name).write_text(json.dumps(asdict(run_here(arguments, folder))))
            os._exit(0)
        with suppress(PermissionError, ProcessLookupError):  # the child has done so already
            os.setpgid(child, child)
        signals = [after] if again is None else [after, after + again]
        first = None
        while os.waitpid(child, os.WNOHANG)[0] == 0:
            if signals and time.monotonic() - began >= signals[0]:
                os.killpg(child, by)
                del signals[0]
                first = first or time.monotonic()
            time.sleep(0.01)
        ended = Path(report.name).read_text()
    now = time.monotonic()
    fields = json.loads(ended) if ended else asdict(Ended(-by, "", now - began, 0))
    return Ended(**fields | {"stopping": None if first is None else now - first})


def _forget_peak() -> None:
    """Make the peak of this process what it takes now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _serve(modules: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    for module in ("run_pipeline", *modules):
        importlib.import_module(module)
    answers.write(b"ready\n")
    answers.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        arguments, folder = request.pop("arguments"), Path(request.pop("folder"))
        ended = _run_and_stop(arguments, folder, **request) if request else run_here(arguments, folder)
        answers.write(json.dumps(asdict(ended)).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    _serve(sys.argv[1:])
