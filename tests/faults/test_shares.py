"""Errors of shares, slow storage, permissions and clocks that change: words, an exit code, and the next run goes on."""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.faults.command import Ended, run_here
from tests.faults.outcome import leftovers
from tests.pipeline.images.samples import saved

_RESTORE = ("in", "-o", "out", "-c", "chain.yaml", "--device", "cpu", "--precision", "fp32")
# What NFS and SMB report where a server restarts, is gone, is slow or changes its rights.
_ERRORS = (errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS)
_FILES = 4


@pytest.fixture
def folder(tmp_path: Path, kept_folder: None) -> Path:
    """A folder with a chain and a few images."""
    (tmp_path / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    (tmp_path / "in").mkdir()
    for number in range(_FILES):
        saved(tmp_path / "in" / f"{number}.png", np.full((16, 20, 3), 40 * number, np.uint8))
    return tmp_path


def failing(call: Callable[..., object], code: int, times: int) -> Callable[..., object]:
    """Return a system call that fails so many times before it works."""
    calls = itertools.count()

    def fail(*given: object, **named: object) -> object:
        if next(calls) < times:
            raise OSError(code, os.strerror(code))
        return call(*given, **named)

    return fail


def goes_on(folder: Path) -> Ended:
    """Run the command again, with all calls as they are."""
    ended = run_here([*_RESTORE], folder)
    assert ended.code == 0, ended.output
    assert sorted(path.name for path in (folder / "out").glob("*.png")) == [f"{n}.png" for n in range(_FILES)]
    return ended


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", _ERRORS, ids=errno.errorcode.get)
def test_an_error_while_writing_fails_one_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    with monkeypatch.context() as patched:
        place = os if call == "fsync" else Path
        patched.setattr(place, call, failing(getattr(place, call), code, 1))
        ended = run_here([*_RESTORE], folder)
    assert ended.code == 1
    assert os.strerror(code) in ended.output
    assert f"{_FILES - 1} done, 1 failed" in ended.output
    assert "Traceback" not in ended.output
    assert not leftovers(folder / "out")
    assert f"1 done, {_FILES - 1} skipped" in goes_on(folder).output


@pytest.mark.parametrize("code", _ERRORS, ids=errno.errorcode.get)
def test_a_share_that_stays_away_fails_all(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing(os.fsync, code, 10_000))
        ended = run_here([*_RESTORE], folder)
    assert ended.code == 1
    assert os.strerror(code) in ended.output
    assert "Traceback" not in ended.output
    assert not leftovers(folder / "out")
    goes_on(folder)


@pytest.mark.parametrize("code", _ERRORS, ids=errno.errorcode.get)
def test_an_error_while_reading_fails_one_file(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    opened = Path.open

    def fail(path: Path, mode: str = "r", *given: object, **named: object) -> object:
        if path.name == "2.png" and path.parent.name == "in" and "r" in mode:
            raise OSError(code, os.strerror(code), str(path))
        return opened(path, mode, *given, **named)  # type: ignore[call-overload]

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", fail)
        ended = run_here([*_RESTORE], folder)
    assert ended.code == 1
    assert os.strerror(code) in ended.output
    assert f"{_FILES - 1} done, 1 failed" in ended.output
    goes_on(folder)


def test_slow_storage_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (time.sleep(0.05), flush(descriptor))[1])
    goes_on(folder)


def test_a_clock_that_jumps_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files from the future and before 1980, and a clock that goes back by a day at every look."""
    for number, path in enumerate(sorted((folder / "in").iterdir())):
        os.utime(path, (4e9, 4e9) if number % 2 else (0, 0))
    jumps = itertools.count(step=-86_400)
    monkeypatch.setattr(time, "time", lambda: float(2_000_000_000 + next(jumps)))
    assert "Traceback" not in goes_on(folder).output
    assert f"{_FILES} skipped" in goes_on(folder).output
