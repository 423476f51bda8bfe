from pathlib import Path

import pytest

from stages.atomic import working_path, written_whole


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with written_whole(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.suffix == path.suffix
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_whole(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_names_have_a_path_to_be_written_to() -> None:
    path = working_path(Path("x" * 255), ".partial")
    assert len(path.name) <= 255
    assert path != working_path(Path("y" * 255), ".partial")
