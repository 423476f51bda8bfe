"""Which files are behind the inputs of a batch."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.batch.job import Job, LeftOut
from pipeline.batch.plan import plan
from pipeline.video.options import VideoOptions
from tests.pipeline.batch.planning import jobs_of, problems, targets, touch


def test_a_folder_keeps_its_tree(tmp_path: Path) -> None:
    touch(tmp_path, "in/b.jpg", "in/a.PNG", "in/deep/er/c.tif")
    assert targets(tmp_path, "in") == {
        "in/a.PNG": "a.PNG",
        "in/b.jpg": "b.jpg",
        "in/deep/er/c.tif": "deep/er/c.tif",
    }


def test_a_folder_that_cannot_be_listed_is_reported_and_the_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "in/a.png", "in/private/b.png")
    list_folder = os.scandir

    def refuse(folder: str) -> object:
        if "private" in folder:
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return list_folder(folder)

    monkeypatch.setattr("os.scandir", refuse)
    taken, closed = plan([str(tmp_path / "in")], tmp_path / "out")
    assert taken.source.name == "a.png"
    why = "the folder cannot be listed; what is in it was left out"
    assert closed == LeftOut(tmp_path / "in/private", "failed", why)
    assert closed in plan([str(tmp_path / "in")], tmp_path / "out", video=VideoOptions(fps="25"))
    assert problems(tmp_path, "in/private") == ["in/private: the folder cannot be listed (Permission denied)"]


def test_hidden_files_are_left_out_unless_named(tmp_path: Path) -> None:
    touch(tmp_path, "in/.a.png", "in/.cache/b.png", "in/c.png")
    assert list(targets(tmp_path, "in")) == ["in/c.png"]
    assert list(targets(tmp_path, "in/.a.png")) == ["in/.a.png"]


def test_globs_are_expanded_even_when_quoted(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/b.jpg", "in/deep/c.jpg")
    assert list(targets(tmp_path, "in/*.jpg")) == ["in/b.jpg"]
    assert list(targets(tmp_path, "in/**/*.jpg")) == ["in/b.jpg", "in/deep/c.jpg"]


def test_a_name_with_brackets_is_no_glob(tmp_path: Path) -> None:
    touch(tmp_path, "in/a[1].png")
    assert list(targets(tmp_path, "in/a[1].png")) == ["in/a[1].png"]


def test_the_output_inside_of_an_input_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "out/a.png", "out/a.png.stages/1_dncnn.png")
    assert list(targets(tmp_path, ".")) == ["a.png"]


def test_links_cannot_loop(tmp_path: Path) -> None:
    touch(tmp_path, "in/deep/a.png", "elsewhere/b.png")
    (tmp_path / "in/deep/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    assert list(targets(tmp_path, "in")) == ["in/deep/a.png", "in/linked/b.png"]


@pytest.mark.parametrize("pattern", ["in", "in/*", "in/**/*"])
def test_files_of_systems_and_network_storage_are_left_out(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "in/a.jpg", "in/@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", "in/#recycle/b.jpg", "in/$RECYCLE.BIN/c.jpg")
    touch(tmp_path, "in/System Volume Information/d.jpg", "in/lost+found/e.jpg", "in/__MACOSX/._a.jpg", "in/Thumbs.db")
    assert list(targets(tmp_path, pattern)) == ["in/a.jpg"]
    assert list(targets(tmp_path, "in/#recycle")) == ["in/#recycle/b.jpg"]


@pytest.mark.parametrize("pattern", ["in", "in/*", "in/*/*.jpg"])
def test_results_of_earlier_runs_are_left_out_and_named(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "in/sub/a.jpg", "in/first/sub/a.jpg", "in/first/b.jpg", "in/other/c.jpg")
    line = '{"input": "in/sub/a.jpg", "output": "sub/a.jpg", "status": "done"}\n'
    (tmp_path / "in/first/restoration.jsonl").write_text(line)
    (tmp_path / "in/other/restoration.jsonl").write_text("a log of something else\n")
    found = plan([str(tmp_path / pattern)], tmp_path / "in/second")
    jobs = [entry.source.name for entry in found if isinstance(entry, Job)]
    left_out = [entry for entry in found if isinstance(entry, LeftOut) and entry.error]
    assert sorted(jobs) == ["a.jpg", "c.jpg"]
    assert [(entry.source, entry.status) for entry in left_out] == [(tmp_path / "in/first", "ignored")]
    assert "holds results of an earlier run" in str(left_out[0].error)
    given = plan([str(tmp_path / "in/first")], tmp_path / "out")
    assert [entry.source.name for entry in given if isinstance(entry, Job)] == ["b.jpg", "a.jpg"]


def test_with_fps_a_folder_of_images_is_a_video(tmp_path: Path) -> None:
    touch(tmp_path, "in/one/1.png", "in/one/2.png", "in/two/deep/1.jpg", "in/clip.mov", "single.png")
    jobs = jobs_of(tmp_path, "in", "single.png", "in/one", video=VideoOptions(fps="25"))
    assert [(job.kind, job.target.relative_to(tmp_path / "out").as_posix()) for job in jobs] == [
        ("video", "clip.mov"),
        ("frames", "one.mp4"),
        ("frames", "two/deep.mp4"),
        ("image", "single.png"),
    ]
