"""What a batch does with its inputs."""

from pathlib import Path

from pipeline.batch.job import LeftOut
from pipeline.batch.plan import plan
from tests.pipeline.batch.planning import problems, targets, touch


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.CR2", "in/deep/b.cr2", "in/notes.txt", "in/LICENSE")
    assert problems(tmp_path, "in") == ["in: no image or video that can be read, only files of .cr2, .txt, LICENSE"]


def test_other_files_are_ignored_in_a_folder_and_refused_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "in/notes.txt", "in/a.png", "more.txt")
    _, ignored, refused = plan([str(tmp_path / "in"), str(tmp_path / "more.txt")], tmp_path / "out")
    assert ignored == LeftOut(tmp_path / "in/notes.txt", "ignored")
    assert isinstance(refused, LeftOut)
    assert (refused.source, refused.status) == (tmp_path / "more.txt", "refused")
    assert str(refused.error).startswith("'.txt' is not the suffix of an image or video")


def test_a_file_met_twice_is_done_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png")
    assert len(targets(tmp_path, "in", "in/*.png", "in/a.png")) == 1


def test_wrong_use_is_reported_together(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "file")
    assert problems(tmp_path, "no", "in/*.tif", ext="exe", suffix="/x", output="file") == [
        "output: file is a file, expected a folder",
        "ext: got 'exe', expected one of " + problems(tmp_path, "in", ext="exe")[0].split("one of ")[1],
        "suffix: got '/x', expected a part of a file name, such as _x2",
        "no: no such file, and nothing matches it; expected files, folders or globs",
        "in/*.tif: no such file, and nothing matches it; expected files, folders or globs",
    ]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert problems(tmp_path, "in") == ["in: no file in this folder, expected images or videos"]
