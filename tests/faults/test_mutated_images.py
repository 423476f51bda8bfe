"""Damaged images end in a result of the right size, or in one line that says why not."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import PIL.Image
import pytest

from pipeline.images import read_image
from tests.faults.campaign import Campaign
from tests.faults.command import Ended, Worker, run_here
from tests.faults.image_seeds import write_seeds
from tests.faults.mutation import mutate
from tests.faults.outcome import Tally, faults_of, last_record, leftovers

RESTORE = ("-o", "out", "-c", "chain.yaml", "--device", "cpu", "--precision", "fp32")
Runner = Callable[[Path, Path], Ended]


def _faults(seed: Path, mutated: Path, how: tuple[str, ...], ended: Ended, output: Path) -> tuple[str, list[str]]:
    """Return how the restoration of a damaged image ended, and what is wrong with that."""
    faults, record = list(faults_of(ended)), last_record(output)
    status = record.get("status", "not started" if ended.code >= 0 else "crashed")
    faults += [f"left {name}" for name in leftovers(output)]
    if (status == "done") != (ended.code == 0):
        faults.append(f"{status}, but exit code {ended.code}")
    if status != "done":
        return status, faults
    faults += _wrong_sizes(mutated, output / record["output"], record)
    if how == ("truncate",) and not _same_pixels(seed, mutated):
        faults.append("done, though the file is cut off")
    return status, faults


def _wrong_sizes(source: Path, target: Path, record: dict[str, list[int]]) -> Iterator[str]:
    """Yield where the sizes of a done image differ: in the run log, in the result and, by Pillow, in the source."""
    height, width = read_image(target).pixels.shape[:2]
    if not record["input_size"] == record["output_size"] == [width, height]:
        yield f"{record['input_size']}, {record['output_size']} and {width} x {height} differ"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(source) as other:
                size = other.size
    except Exception:
        return
    if sorted(size) != sorted(record["input_size"]):
        yield f"read as {record['input_size']}, but Pillow reads {size}"


def _same_pixels(first: Path, second: Path) -> bool:
    one, other = read_image(first), read_image(second)
    return np.array_equal(one.pixels, other.pixels)


def _campaign(folder: Path, count: int, seed: int, run: Runner) -> Tally:
    (folder / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    seeds, random, tally = write_seeds(folder / "seeds"), Random(seed), Tally()
    for number in range(count):
        source = seeds[number % len(seeds)]
        data, how = mutate(source.read_bytes(), random)
        stem = os.fsdecode(b"mutated\xe9") if number % 4 == 0 and sys.platform == "linux" else "mutated"
        mutated = folder / f"{stem}{source.suffix}"
        mutated.write_bytes(data)
        shutil.rmtree(folder / "out", ignore_errors=True)
        ended = run(mutated, folder)
        outcome, faults = _faults(source, mutated, how, ended, folder / "out")
        name = f"{number} ({source.name}: {', '.join(how)})"
        tally.add(name, ended, outcome, faults)
        if faults:
            (folder / "faults").mkdir(exist_ok=True)
            shutil.copy(mutated, folder / "faults" / f"{number}_{source.name}")
    return tally


def test_every_seed_is_valid(tmp_path: Path) -> None:
    for path in write_seeds(tmp_path):
        assert read_image(path).pixels.size > 0


@pytest.mark.usefixtures("kept_folder")
def test_damaged_images_end_in_plain_words(tmp_path: Path) -> None:
    tally = _campaign(tmp_path, 25, 0, lambda mutated, folder: run_here([mutated.name, *RESTORE], folder))
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.counts["done"] > 2
    assert tally.counts["failed"] > 5


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_ten_thousand_damaged_images(tmp_path: Path, campaign: Campaign) -> None:
    worker = Worker()
    try:
        tally = _campaign(
            tmp_path,
            campaign.count(10_000),
            campaign.seed,
            lambda mutated, folder: worker.run(mutated.name, *RESTORE, folder=folder),
        )
    finally:
        worker.close()
    campaign.report("damaged images", tally)
    assert not tally.faults, "\n".join(tally.faults)
