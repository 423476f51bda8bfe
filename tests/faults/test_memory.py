"""Memory does not grow with the number of files or the length of a video, and little with the size of an image."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import pyvips

from tests.faults.campaign import Campaign
from tests.faults.command import Worker
from tests.pipeline.video import clips

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

_RESTORE = ("in", "-o", "out", "-c", "chain.yaml", "--device", "cpu", "--precision", "fp32", "--quiet")
_MIB = 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a cheap chain."""
    (tmp_path / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    (tmp_path / "in").mkdir()
    return tmp_path


def test_many_files(folder: Path, campaign: Campaign) -> None:
    few, many = 100, max(200, campaign.count(10_000))
    peaks = [_peak(folder, partial(_write_images, folder / "in", count)) for count in (few, many)]
    campaign.report("memory, files", f"{few}: {peaks[0]} MiB, {many}: {peaks[1]} MiB")
    assert peaks[1] < peaks[0] + 40


def test_a_long_video(folder: Path, campaign: Campaign) -> None:
    """Two hours at 25 frames a second in full."""
    short, long = 500, max(1000, campaign.count(180_000))
    peaks = [_peak(folder, partial(_write_video, folder / "in/a.mkv", frames)) for frames in (short, long)]
    campaign.report("memory, frames of a video", f"{short}: {peaks[0]} MiB, {long}: {peaks[1]} MiB")
    assert peaks[1] < peaks[0] + 150


def test_large_images(folder: Path, campaign: Campaign) -> None:
    peaks = {}
    for megapixels in (1, 16, 100):
        width = round((megapixels * 1e6) ** 0.5)
        image = pyvips.Image.xyz(width, width).cast("uchar").extract_band(0).bandjoin([128, 64])
        image = image.copy(interpretation="srgb")
        peaks[megapixels] = _peak(folder, partial(image.jpegsave, str(folder / "in/a.jpg")))
    shown = ", ".join(f"{megapixels} megapixels: {peak} MiB" for megapixels, peak in peaks.items())
    campaign.report("memory, one image", shown)
    assert peaks[100] < peaks[1] + 100 * 3 * 5  # source and result, twice each, and one for the encoder


def _peak(folder: Path, write: Callable[[], object]) -> int:
    """Restore what is written to ``in``; returns the memory at most in MiB, in a process of its own."""
    for path in (folder / "in").iterdir():
        path.unlink()
    write()
    worker = Worker(("pipeline.batch.batch", "pipeline.engine.engine", "pipeline.video.restore"))
    try:
        ended = worker.run_and_stop(*_RESTORE, "--overwrite", folder=folder, after=36_000, by=9)
    finally:
        worker.close()
    assert ended.code == 0, ended.output
    return round(ended.peak / _MIB)


def _write_images(folder: Path, count: int) -> None:
    pixels = pyvips.Image.new_from_array(np.full((16, 16, 3), 77, np.uint8))
    content = pixels.copy(interpretation="srgb").pngsave_buffer()
    for number in range(count):
        (folder / f"{number}.png").write_bytes(content)


def _write_video(path: Path, frames: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(frames):
            frame = clips.numbered_frame(number, (32, 32), "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
