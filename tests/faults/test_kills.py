"""Whenever a command is killed, the same command goes on, and the results are those of a run that was not."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import av
import pytest

from tests.faults.campaign import Campaign
from tests.faults.command import Ended, Worker
from tests.pipeline.images.samples import photo, saved
from tests.pipeline.video import clips
from tests.train.conftest import write_image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

_RESTORE = ("-o", "out", "-c", "chain.yaml", "--device", "cpu", "--precision", "fp32", "--quiet")
_TRAINING = {
    "stage": {"stage": "dncnn", "depth": 4, "width": 8, "skips": True, "batch_norm": False},
    "trained_for": "noise of sigma 25",
    "degradation": [{"kind": "gaussian_noise", "sigma": [25.0, 25.0]}],
    "data": {"crop_size": 16, "batch_size": 4, "validation_crop_size": 32, "validation_repeats": 1, "held_out": 3},
    "learning_rate": 0.01,
    "steps_per_epoch": 4,
}


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A process with all imports of all commands."""
    imports = ("pipeline.batch.batch", "pipeline.engine.engine", "pipeline.video.restore", "pipeline.html_report")
    worker = Worker((*imports, "train.fit", "lightning.pytorch"))
    yield worker
    worker.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a chain."""
    (tmp_path / "chain.yaml").write_text("stages:\n  - {stage: unsharp_mask, sigma: 3}\n")
    return tmp_path


def test_a_folder_of_images(folder: Path, worker: Worker, campaign: Campaign) -> None:
    (folder / "in").mkdir()
    for number in range(12):
        suffix = (".png", ".jpg", ".tif", ".webp")[number % 4]
        saved(folder / "in" / f"{number}{suffix}", photo(120 + number, 160, 3))
    kills = _Kills(folder, worker, lambda: ("in", *_RESTORE))
    kills.run(campaign, 30)
    campaign.report("kills, folder of images", kills)


def test_a_folder_with_a_report(folder: Path, worker: Worker, campaign: Campaign) -> None:
    (folder / "in").mkdir()
    for number in range(6):
        saved(folder / "in" / f"{number}.png", photo(100, 120, 3))
    kills = _Kills(folder, worker, lambda: ("in", *_RESTORE, "--report", "out/report.html"), alike=("report.html",))
    kills.run(campaign, 20)
    assert "</html>" in (folder / "out/report.html").read_text()[-20:]
    campaign.report("kills, HTML report", kills)


def test_a_video(folder: Path, worker: Worker, campaign: Campaign) -> None:
    (folder / "in").mkdir()
    clips.several_segments(folder / "in/a")
    clips.two_languages(folder / "in/b")
    kills = _Kills(folder, worker, lambda: ("in", *_RESTORE, "--preset", "ultrafast"))
    kills.run(campaign, 30)
    campaign.report("kills, videos", kills)


def test_a_training_run(folder: Path, worker: Worker, campaign: Campaign) -> None:
    (folder / "training.yaml").write_text(json.dumps(_TRAINING))
    for number in range(6):
        write_image(folder / "in" / f"{number}.png", number)
    train = ("train", "training.yaml", "--data", "in", "-o", "out", "--device", "cpu", "--max-epochs", "3")

    def command() -> tuple[str, ...]:
        return (*train, "--resume") if any((folder / "out").rglob("*.ckpt")) else train

    kills = _Kills(folder, worker, command, same=("dncnn.safetensors",))
    kills.run(campaign, 20)
    campaign.report("kills, training", kills)


class _Kills:
    """Kills one command again and again; each time it goes on, and once it is through it begins anew.

    Args:
        folder: Where the command runs and writes to ``out``.
        worker: Runs it.
        command: Returns its arguments as a user would give them then.
        same: The files that have to be the same as without kills; all, if none are named.
        alike: Files that hold times and have to be there only.
    """

    def __init__(
        self,
        folder: Path,
        worker: Worker,
        command: Callable[[], tuple[str, ...]],
        same: tuple[str, ...] = (),
        alike: tuple[str, ...] = (),
    ) -> None:
        self.folder, self.worker, self.command = folder, worker, command
        self.same, self.alike = same, alike
        self.kills = self.runs = 0

    def run(self, campaign: Campaign, whole: int) -> None:
        """Kill the command so many times, and compare each run that came through with one that was not killed."""
        random, number = Random(campaign.seed), campaign.count(whole)
        first = self._go_on(3600)
        assert first.code == 0, first.output
        (self.folder / "out").rename(self.folder / "whole")
        seconds = first.seconds
        while self.kills < number:
            ended = self._go_on(random.uniform(0, seconds))
            if ended.code == -signal.SIGKILL:
                self.kills += 1
                self._compare(finished=False)
                continue
            self._end(ended)
        self._end(self._go_on(3600))
        (self.folder / "whole").rename(self.folder / "out")

    def _go_on(self, after: float) -> Ended:
        return self.worker.run_and_stop(*self.command(), folder=self.folder, after=after, by=signal.SIGKILL)

    def _end(self, ended: Ended) -> None:
        assert ended.code == 0, ended.output
        self.runs += 1
        self._compare(finished=True)
        shutil.rmtree(self.folder / "out")

    def _compare(self, *, finished: bool) -> None:
        """Hold each result that has its name against that of the run without kills."""
        whole, killed = self.folder / "whole", self.folder / "out"
        names = self.same or tuple(_names(whole) - set(self.alike) - {"restoration.jsonl"})
        for name in names:
            if finished or (killed / name).exists():
                assert _content(killed / name) == _content(whole / name), name
        if finished and not self.same:
            assert _names(killed) == _names(whole)
        assert not finished or not [name for name in _names(killed) if ".writing" in name or ".partial" in name]

    def __str__(self) -> str:
        return f"{self.kills} kills, {self.runs} runs came through, all with the same bytes and no leftovers"


def _content(path: Path) -> object:
    """Return the bytes of a file; of Matroska, which holds random numbers, those of its packets with their times."""
    if path.suffix != ".mkv":
        return path.read_bytes()
    with av.open(str(path)) as container:
        return [(packet.stream_index, packet.pts, packet.dts, bytes(packet)) for packet in container.demux()]


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
