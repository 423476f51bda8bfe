"""Restore many damaged files by few commands, and hold each file's result against what was promised."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.command import Ended
from tests.faults.mutation import mutate
from tests.faults.outcome import Tally, faults_of, leftovers, records_of, unexpected_in


@dataclass(frozen=True)
class Damaged:
    """A damaged file.

    Attributes:
        path: The file.
        seed: The file that it was made from.
        how: Names of the mutations.
    """

    path: Path
    seed: Path
    how: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path.name}, {', '.join(self.how)}"


def damaged_copies(folder: Path, seeds: Sequence[Path], count: int, seed: int, *, accents: bool) -> Iterator[Damaged]:
    """Make damaged copies of files in turn, and the chain ``chain.yaml`` beside them.

    Args:
        folder: Where they are made.
        seeds: The files.
        count: How many copies.
        seed: Of the random damage.
        accents: Give every fourth a name that is not UTF-8, where the system allows that.
    """
    (folder / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    random = Random(seed)
    for number in range(count):
        source = seeds[number % len(seeds)]
        data, how = mutate(source.read_bytes(), random)
        accent = os.fsdecode(b"\xe9") if accents and number % 4 == 0 and sys.platform == "linux" else ""
        path = folder / f"{number}{accent}_{source.name}"
        path.write_bytes(data)
        yield Damaged(path, source, how)


Run = Callable[[Sequence[Path]], Ended]
Check = Callable[[Damaged, Path, dict[str, Any]], Iterator[str]]


def restore_all(files: Iterable[Damaged], output: Path, run: Run, check: Check, together: int) -> Tally:
    """Restore files, so many by each command, and delete them.

    Args:
        files: Are made one by one.
        output: Where ``run`` puts the results.
        run: Restores files by one command.
        check: Yields what is wrong with a result, by its file, its path and its record.
        together: Files a command; after a crash or a hang they are restored one by one.

    Returns:
        The outcomes. Files with faults are kept in the folder ``faults`` beside ``output``.
    """
    tally = Tally()
    remaining = iter(files)
    while group := list(islice(remaining, together)):
        ended = _run_anew(run, [file.path for file in group], output)
        if ended.hung or ended.code < 0:
            for file in group:
                _count(tally, [file], _run_anew(run, [file.path], output), output, check)
        else:
            _count(tally, group, ended, output, check)
        for file in group:
            file.path.unlink()
    return tally


def _run_anew(run: Run, files: Sequence[Path], output: Path) -> Ended:
    shutil.rmtree(output, ignore_errors=True)
    return run(files)


def _count(tally: Tally, group: Sequence[Damaged], ended: Ended, output: Path, check: Check) -> None:
    records = {Path(record["input"]).name: record for record in records_of(output)}
    common = [*faults_of(ended), *(f"left {name}" for name in leftovers(output) if ".partial/" not in name)]
    if (ended.code == 0) != all(record["status"] == "done" and not record["differs"] for record in records.values()):
        common.append(f"ended with {ended.code} though {[record['status'] for record in records.values()]}")
    for number, file in enumerate(group):
        record = records.get(file.path.name, {})
        status = record.get("status", "crashed" if ended.hung or ended.code < 0 else "not started")
        faults = common if number == 0 else []
        if unexpected := unexpected_in(record.get("error") or ""):
            faults = [*faults, unexpected]
        if status == "done":
            faults = [*faults, *check(file, output / record["output"], record)]
            status = "done, but differs" if record["differs"] else status
        tally.add(status, str(file), record.get("seconds", ended.seconds), ended.peak, faults)
        if faults:
            kept = output.parent / "faults"
            kept.mkdir(exist_ok=True)
            shutil.copy(file.path, kept)
            (kept / f"{file.path.name}.txt").write_text("\n".join([*faults, ended.output]), errors="replace")
