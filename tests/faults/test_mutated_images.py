"""Damaged images end in a result of the right size, or in one line that says why not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pipeline.images import read_image
from tests.faults.campaign import Campaign
from tests.faults.command import Worker, run_here
from tests.faults.damaged import Damaged, damaged_copies, restore_all
from tests.faults.image_seeds import write_seeds

_RESTORE = ("-o", "out", "-c", "chain.yaml", "--device", "cpu", "--precision", "fp32")


def test_every_seed_is_valid(tmp_path: Path) -> None:
    for path in write_seeds(tmp_path):
        assert read_image(path).pixels.size > 0


@pytest.mark.usefixtures("kept_folder")
def test_damaged_images_end_in_plain_words(tmp_path: Path) -> None:
    files = _damaged(tmp_path, 80, 0)
    tally = restore_all(
        files,
        tmp_path / "out",
        lambda paths: run_here([*(path.name for path in paths), *_RESTORE], tmp_path),
        _wrong,
        together=80,
    )
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.counts["done"] > 10
    assert tally.counts["failed"] > 20


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_ten_thousand_damaged_images(tmp_path: Path, campaign: Campaign) -> None:
    worker = Worker()
    try:
        tally = restore_all(
            _damaged(tmp_path, campaign.count(10_000), campaign.seed),
            tmp_path / "out",
            lambda paths: worker.run(*(path.name for path in paths), *_RESTORE, folder=tmp_path),
            _wrong,
            together=40,
        )
    finally:
        worker.close()
    campaign.report("damaged images", tally)
    assert not tally.faults, "\n".join(tally.faults)


def _damaged(folder: Path, count: int, seed: int) -> Iterator[Damaged]:
    return damaged_copies(folder, write_seeds(folder / "seeds"), count, seed, accents=True)


def _wrong(file: Damaged, target: Path, record: dict[str, list[int]]) -> Iterator[str]:
    """Yield where sizes differ, in the run log, in the result and, by Pillow, in the source, and cut off images."""
    height, width = read_image(target).pixels.shape[:2]
    if not record["input_size"] == record["output_size"] == [width, height]:
        yield f"{record['input_size']}, {record['output_size']} and {width} x {height} differ"
    other = _size_by_pillow(file.path)
    if other is not None and sorted(other) != sorted(record["input_size"]):
        yield f"read as {record['input_size']}, but Pillow reads {other}"
    if file.how == ("truncate",) and not np.array_equal(read_image(file.path).pixels, read_image(file.seed).pixels):
        yield "done, though the file is cut off"


def _size_by_pillow(path: Path) -> tuple[int, int] | None:
    """Return the size of what Pillow can decode too, and takes for the same image.

    Of a TIFF tag that comes twice Pillow takes the last, libtiff the first; libnsgif takes no canvas above 2048 pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(path) as image:
                image.load()
                return None if image.format == "GIF" and max(image.size) > 2048 else image.size
    except Exception:
        return None
