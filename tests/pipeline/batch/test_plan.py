"""Which files a batch takes, and where their results go."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.batch.plan import Job, LeftOut, plan
from pipeline.errors import ConfigError
from pipeline.video.options import VideoOptions


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def jobs_of(folder: Path, *inputs: str, **options: Any) -> list[Job]:
    """Plan to restore what lies below ``folder`` to ``folder/out``, all of which can be restored."""
    found = plan([str(folder / text) for text in inputs], folder / "out", **options)
    jobs = [job for job in found if isinstance(job, Job)]
    assert jobs == found
    return jobs


def targets(folder: Path, *inputs: str, **options: Any) -> dict[str, str]:
    """Map each source below ``folder`` to its target below ``folder/out``."""
    return {
        job.source.relative_to(folder).as_posix(): job.target.relative_to(folder / "out").as_posix()
        for job in jobs_of(folder, *inputs, **options)
    }


def problems(folder: Path, *inputs: str, output: str = "out", ext: str | None = None, suffix: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan([str(folder / text) for text in inputs], folder / output, ext=ext, suffix=suffix)
    return str(caught.value).replace(f"{folder}{os.sep}", "").splitlines()


def test_a_folder_keeps_its_tree(tmp_path: Path) -> None:
    touch(tmp_path, "in/b.jpg", "in/a.PNG", "in/deep/er/c.tif")
    assert targets(tmp_path, "in") == {
        "in/a.PNG": "a.PNG",
        "in/b.jpg": "b.jpg",
        "in/deep/er/c.tif": "deep/er/c.tif",
    }


def test_what_cannot_be_written_becomes_png(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.bmp", "in/b.gif", "in/c.ppm", "in/d.jp2", "in/e.pfm", "in/f.webp")
    assert list(targets(tmp_path, "in").values()) == [
        "a.png",
        "b.png",
        "c.png",
        "d.png",
        "e.tif",
        "f.webp",
    ]


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


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.CR2", "in/deep/b.cr2", "in/notes.txt", "in/LICENSE")
    assert problems(tmp_path, "in") == ["in: no image or video that can be read, only files of .cr2, .txt, LICENSE"]


def test_names_follow_suffix_and_ext(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.b.jpg")
    assert targets(tmp_path, "in", suffix="_x2", ext="png") == {"in/a.b.jpg": "a.b_x2.png"}
    assert targets(tmp_path, "in", ext=".PNG") == {"in/a.b.jpg": "a.b.png"}


def test_other_files_are_ignored_in_a_folder_and_refused_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "in/notes.txt", "in/a.png", "more.txt")
    _, ignored, refused = plan([str(tmp_path / "in"), str(tmp_path / "more.txt")], tmp_path / "out")
    assert ignored == LeftOut(tmp_path / "in/notes.txt", "ignored")
    assert isinstance(refused, LeftOut)
    assert (refused.source, refused.status) == (tmp_path / "more.txt", "refused")
    assert str(refused.error).startswith("'.txt' is not the suffix of an image or video")


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


def test_a_file_met_twice_is_done_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png")
    assert len(targets(tmp_path, "in", "in/*.png", "in/a.png")) == 1


def test_links_cannot_loop(tmp_path: Path) -> None:
    touch(tmp_path, "in/deep/a.png", "elsewhere/b.png")
    (tmp_path / "in/deep/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    assert list(targets(tmp_path, "in")) == ["in/deep/a.png", "in/linked/b.png"]


def test_two_inputs_with_one_target_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "b/x.png", "c/x.png", "d/y.gif", "e/y.gif")
    assert problems(tmp_path, "b", "c/x.png", "d", "e") == [
        "b/x.png and c/x.png would both be written to out/x.png; restore them into different folders",
        "d/y.gif and e/y.gif would both be written to out/y.gif.png; restore them into different folders",
    ]


def test_results_that_would_clash_keep_the_suffix_of_their_source(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/a.gif", "in/b.jpg", "in/b.tif", "in/c.mp4", "in/c.avi", "in/d.gif")
    assert list(targets(tmp_path, "in").values()) == [
        *("a.gif.png", "a.png", "b.jpg", "b.tif", "c.avi.mp4", "c.mp4", "d.png"),
    ]
    assert list(targets(tmp_path, "in/a.*", "in/b.*", ext="png", suffix="_x2").values()) == [
        *("a.gif_x2.png", "a_x2.png", "b.jpg_x2.png", "b.tif_x2.png"),
    ]


def test_a_name_with_both_suffixes_that_is_taken_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/a.gif", "in/a.gif.png")
    assert problems(tmp_path, "in") == [
        "in/a.gif and in/a.png would both be written to out/a.png; restore them into different folders"
    ]


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


def test_inputs_are_never_written_over(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png")
    assert problems(tmp_path, "in/a.png", output="in") == [
        "in/a.png would be written over the input in/a.png; use another output or a suffix"
    ]
    assert problems(tmp_path, "in", output="in") == ["output: in is also an input, expected another folder"]


def test_wrong_use_is_reported_together(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "file")
    assert problems(tmp_path, "no", "in/*.tif", ext="exe", suffix="/x", output="file") == [
        "output: file is a file, expected a folder",
        "ext: got 'exe', expected one of " + problems(tmp_path, "in", ext="exe")[0].split("one of ")[1],
        "suffix: got '/x', expected a part of a file name, such as _x2",
        "no: no such file, and nothing matches it; expected files, folders or globs",
        "in/*.tif: no such file, and nothing matches it; expected files, folders or globs",
    ]


def test_an_output_that_looks_like_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png")
    (line,) = problems(tmp_path, "in/a.png", output="b.png")
    assert line == "output: got the file name b.png, expected a folder; file names follow the inputs'"


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert problems(tmp_path, "in") == ["in: no file in this folder, expected images or videos"]


def test_videos_keep_their_container_if_it_can_be_written(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.mp4", "in/b.MKV", "in/c.webm", "in/d.avi", "in/e.m4v", "in/f.jpg")
    expected = ["a.mp4", "b.MKV", "c.mkv", "d.mp4", "e.m4v", "f.jpg"]
    assert list(targets(tmp_path, "in").values()) == expected
    jobs = jobs_of(tmp_path, "in", video=VideoOptions(container="mov"), suffix="_x2")
    assert [job.target.name for job in jobs][:2] == ["a_x2.mov", "b_x2.mov"]
    assert [job.kind for job in jobs] == ["video"] * 5 + ["image"]


def test_with_fps_a_folder_of_images_is_a_video(tmp_path: Path) -> None:
    touch(tmp_path, "in/one/1.png", "in/one/2.png", "in/two/deep/1.jpg", "in/clip.mov", "single.png")
    jobs = jobs_of(tmp_path, "in", "single.png", "in/one", video=VideoOptions(fps="25"))
    assert [(job.kind, job.target.relative_to(tmp_path / "out").as_posix()) for job in jobs] == [
        ("video", "clip.mov"),
        ("frames", "one.mp4"),
        ("frames", "two/deep.mp4"),
        ("image", "single.png"),
    ]
