"""Where the results of a batch go."""

from pathlib import Path

import pytest

from pipeline.batch.job import LeftOut
from pipeline.batch.search import Found
from pipeline.batch.targets import entry_for, ignores_case
from pipeline.video.options import VideoOptions
from tests.pipeline.batch.planning import jobs_of, problems, targets, touch


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


def test_names_follow_suffix_and_ext(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.b.jpg")
    assert targets(tmp_path, "in", suffix="_x2", ext="png") == {"in/a.b.jpg": "a.b_x2.png"}
    assert targets(tmp_path, "in", ext=".PNG") == {"in/a.b.jpg": "a.b.png"}


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


def test_results_that_differ_in_case_keep_the_suffix_of_their_source(tmp_path: Path) -> None:
    touch(tmp_path, "in/A.JPG", "in/a.png", "in/B.gif", "in/b.bmp", "in/\u00e9.gif", "in/e\u0301.png", "in/c.gif")
    assert list(targets(tmp_path, "in", ext="png").values()) == [
        *("A.JPG.png", "B.gif.png", "a.png", "b.bmp.png", "c.png", "e\u0301.png", "\u00e9.gif.png"),
    ]


def test_results_that_differ_in_case_are_refused_on_disks_that_ignore_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "in/x.jpg", "in/X.jpg", "in/y.jpg")
    assert not ignores_case(tmp_path / "out")
    assert list(targets(tmp_path, "in").values()) == ["X.jpg", "x.jpg", "y.jpg"]
    monkeypatch.setattr("pipeline.batch.targets.ignores_case", lambda folder: True)
    assert problems(tmp_path, "in") == [
        "in/X.jpg and in/x.jpg would both be written to out/X.jpg, on a disk that ignores case; "
        "restore them into different folders"
    ]


def test_a_disk_that_ignores_case_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: exists(path) or exists(path.with_name(path.name.lower())))
    assert ignores_case(tmp_path / "out" / "below")
    assert not list(tmp_path.iterdir())


def test_inputs_are_never_written_over(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png")
    assert problems(tmp_path, "in/a.png", output="in") == [
        "in/a.png would be written over the input in/a.png; use another output or a suffix"
    ]
    assert problems(tmp_path, "in", output="in") == ["output: in is also an input, expected another folder"]


def test_an_output_that_looks_like_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png")
    (line,) = problems(tmp_path, "in/a.png", output="b.png")
    assert line == "output: got the file name b.png, expected a folder; file names follow the inputs'"


def test_videos_keep_their_container_if_it_can_be_written(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.mp4", "in/b.MKV", "in/c.webm", "in/d.avi", "in/e.m4v", "in/f.jpg")
    expected = ["a.mp4", "b.MKV", "c.mkv", "d.mp4", "e.m4v", "f.jpg"]
    assert list(targets(tmp_path, "in").values()) == expected
    jobs = jobs_of(tmp_path, "in", video=VideoOptions(container="mov"), suffix="_x2")
    assert [job.target.name for job in jobs][:2] == ["a_x2.mov", "b_x2.mov"]
    assert [job.kind for job in jobs] == ["video"] * 5 + ["image"]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.CR2", "but of a camera's raw data; develop it to TIFF first"),
        ("a.mp3", "but of sound, of which nothing is restored"),
        ("a.cbz", "but of an archive; unpack it first"),
        ("a", "has no suffix; rename it, with that of its format, such as .jpg or .mp4"),
        ("a.docx", "; export its pages or layers as PNG or TIFF first"),
        ("a.txt", "; convert it to PNG, TIFF or MP4 first, if it is one"),
    ],
)
def test_advice_fits_the_suffix(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).touch()
    found = Found(tmp_path / name, Path(name), named=True)
    entry = entry_for(found, tmp_path / "out", None, "", VideoOptions())
    assert isinstance(entry, LeftOut)
    assert (entry.status, str(entry.error).endswith(advice)) == ("refused", True)
