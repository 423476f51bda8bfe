"""Full, read-only and failing storage ends in a message and an exit code, and the same command goes on later."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.faults.campaign import Campaign
from tests.faults.command import Ended, Worker, run_here
from tests.faults.outcome import faults_of, leftovers
from tests.pipeline.images.samples import saved
from tests.pipeline.video import clips

_RESTORE = ("-o", "out", "-c", "chain.yaml", "--device", "cpu", "--precision", "fp32")
_IMAGES = ("in", *_RESTORE)
_VIDEOS = ("videos", *_RESTORE, "--preset", "ultrafast", "--crf", "0")
_COMMANDS = {
    "images": _IMAGES,
    "stages": (*_IMAGES, "--save-stages"),
    "report": (*_IMAGES, "--report", "out/report.html"),
    "video": _VIDEOS,
    "frames": (*_VIDEOS, "--frames-out", "out/frames"),
}
# What the next run goes on with.
_TO_RESUME = (".partial/", ".stages/")


class Disk:
    """A small file system in memory, mounted at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def mount(self, options: str) -> None:
        """Mount it empty."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], check=True, capture_output=True)

    def change(self, options: str) -> None:
        """Change its options."""
        subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True, capture_output=True)

    def unmount(self) -> None:
        """Take it away with all that is on it."""
        subprocess.run(["umount", "-l", self.folder], check=False, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path, kept_folder: None) -> Path:
    """A folder with a chain and a few images of all formats that are written."""
    (tmp_path / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(0)
    for number, suffix in enumerate((".png", ".jpg", ".tif", ".webp", ".avif")):
        saved(tmp_path / "in" / f"{number}{suffix}", noise.integers(0, 255, (160, 200, 3), np.uint8))
    return tmp_path


@pytest.fixture
def disk(folder: Path) -> Iterator[Disk]:
    """A disk where results go; skips where mounting is not allowed."""
    disk = Disk(folder / "out")
    try:
        disk.mount("size=4k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a file system")
    disk.unmount()
    yield disk
    disk.unmount()


def test_a_full_disk_ends_the_run_and_more_room_goes_on(folder: Path, disk: Disk) -> None:
    disk.mount("size=200k")
    ended = run_here([*_IMAGES, "--quiet"], folder)
    assert (ended.code, ended.output[:26]) == (1, "no space left on the disk,")
    assert not leftovers(folder / "out")
    disk.change("size=8m")
    assert run_here([*_IMAGES, "--quiet"], folder).code == 0


def test_a_read_only_disk_is_named(folder: Path, disk: Disk) -> None:
    disk.mount("size=1m,ro")
    ended = run_here([*_IMAGES], folder)
    assert (ended.code, ended.output.strip()[-23:]) == (1, ": Read-only file system")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that exists and cannot be read")
def test_an_input_that_cannot_be_read_fails_alone(folder: Path) -> None:
    for name in ("x.png", "y.mp4"):
        (folder / "in" / name).symlink_to("/proc/self/mem")
    ended = run_here([*_IMAGES], folder)
    assert ended.code == 1
    assert ended.output.count("Input/output error") == 2
    assert "5 done, 2 failed" in ended.output


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", _COMMANDS)
def test_disks_of_all_sizes(folder: Path, disk: Disk, campaign: Campaign, name: str) -> None:
    """Fill disks of many sizes, so that another write fails each time; then there is room, and all is as without."""
    (folder / "videos").mkdir()
    clips.b_frames(folder / "videos/a")
    worker = Worker(
        ("pipeline.batch.batch", "pipeline.engine.engine", "pipeline.video.restore", "pipeline.html_report")
    )
    try:
        disk.mount("size=100m")
        assert _run(worker, name, folder).code == 0
        used = sum(path.stat().st_blocks * 512 for path in disk.folder.rglob("*"))
        shutil.copytree(disk.folder, folder / "whole")
        disk.unmount()
        sizes = [used * step // 12 for step in range(1, 13)][:: max(1, round(1 / campaign.scale))]
        for size in sizes:
            disk.mount(f"size={max(4096, size)}")
            _fill(worker, name, folder, disk)
            disk.unmount()
    finally:
        worker.close()
    campaign.report(f"full disks, {name}", f"{len(sizes)} sizes up to {used / 2**20:.1f} MiB, all went on")


def _fill(worker: Worker, name: str, folder: Path, disk: Disk) -> None:
    ended = _run(worker, name, folder)
    assert ended.code in (0, 1), ended.output
    assert ended.code == 0 or "no space left" in ended.output.lower(), ended.output
    kept = [path for path in leftovers(disk.folder) if not any(part in path for part in _TO_RESUME)]
    assert [path for path in kept if not path.startswith(("frames/", "report"))] == []
    disk.change("size=200m")
    again = _run(worker, name, folder)
    assert again.code == 0, again.output
    for path in (folder / "whole").rglob("*"):
        if path.is_file() and path.suffix not in (".jsonl", ".html"):
            assert (disk.folder / path.relative_to(folder / "whole")).read_bytes() == path.read_bytes(), path.name
    assert {path.name for path in disk.folder.rglob("*")} == {path.name for path in (folder / "whole").rglob("*")}


def _run(worker: Worker, name: str, folder: Path) -> Ended:
    ended = worker.run_and_stop(*_COMMANDS[name], folder=folder, after=3600, by=9)
    assert not [fault for fault in faults_of(ended) if "MiB" not in fault], ended.output
    return ended


@pytest.mark.skipif(sys.platform != "linux", reason="unlinks a file that is open")
def test_inputs_that_vanish_fail_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.batch.image_jobs import ImageJobs

    real = ImageJobs.restore

    def vanish(self: ImageJobs, job: object, *given: object) -> object:
        for path in sorted((folder / "in").iterdir())[3:]:
            path.unlink()
        return real(self, job, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageJobs, "restore", vanish)
    ended = run_here([*_IMAGES], folder)
    assert ended.code == 1
    assert "is not a file, or a link to nothing" in ended.output
    assert not leftovers(folder / "out")
