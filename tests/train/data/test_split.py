import shutil
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from train.data.layouts import Files, find_files, scene_of
from train.data.split import hold_out, refuse_leakage, split, without_copies


def write(path: Path) -> Path:
    """Write a file whose content no other has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(path))
    return path


def test_held_out_files_are_never_trained_on(sharp_folder: Path) -> None:
    files = find_files([sharp_folder])
    for every in (1, 3, 10**9):
        train, held_out = split(files, every)
        assert held_out.clean
        assert train.clean
        assert set(train.clean) | set(held_out.clean) == set(files.clean)
        assert not set(train.clean) & set(held_out.clean)


def scenes(files: Files) -> set[str]:
    return {scene_of(clean).name for _, clean in files.pairs}


@pytest.mark.parametrize("every", [1, 2, 10**9])
def test_a_scene_is_held_out_whole(pair_folder: Path, every: int) -> None:
    train, held_out = split(find_files([pair_folder]), every)
    assert scenes(train) | scenes(held_out) == {"a", "b"}
    assert not scenes(train) & scenes(held_out)


def test_of_scenes_of_one_name_the_same_is_held_out_in_each_run(tmp_path: Path) -> None:
    for take, side in product(range(8), ("sharp", "blur")):
        write(tmp_path / f"take{take}" / "scene" / side / "0.png")
    _, held_out = split(find_files([tmp_path]), 25)
    assert [scene_of(clean) for _, clean in held_out.pairs] == [tmp_path / "take0" / "scene"]


def test_of_a_single_scene_the_last_frames_are_held_out(pair_folder: Path) -> None:
    train, held_out = split(find_files([pair_folder / "a"]), 25)
    assert [clean.name for _, clean in train.pairs] == ["0.png"]
    assert [clean.name for _, clean in held_out.pairs] == ["1.png"]


def test_a_single_image_is_fitted(sharp_folder: Path) -> None:
    alone = find_files([sharp_folder / "0.png"])
    assert split(alone, 25) == (alone, alone)


def leaks(train: Iterable[Path], validation: Iterable[Path]) -> str:
    with pytest.raises(ConfigError, match="val: must hold nothing that data holds") as caught:
        refuse_leakage(find_files(train), find_files(validation))
    return str(caught.value)


def test_a_file_on_both_sides_is_refused_under_any_name(sharp_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    shutil.copy(sharp_folder / "3.png", tmp_path / "val" / "another.png")
    message = leaks([sharp_folder], [tmp_path / "val"])
    assert "another.png" in message
    assert "3.png" in message
    assert "0.png" in leaks([sharp_folder], [sharp_folder / "0.png"])


def test_a_scene_on_both_sides_is_refused(tmp_path: Path) -> None:
    for scene, side, frame in product("ab", ("sharp", "blur"), "01"):
        write(tmp_path / scene / side / f"{frame}.png")
    first, second = (find_files([tmp_path / scene]) for scene in "ab")
    refuse_leakage(first, second)
    with pytest.raises(ConfigError, match=f"scene {tmp_path / 'a'}"):
        refuse_leakage(Files((), first.pairs[:1]), Files((), first.pairs[1:]))


def test_training_and_test_sets_have_nothing_in_common(shared_data: Path) -> None:
    refuse_leakage(find_files([shared_data / "train"]), find_files([shared_data / "test"]))


def test_one_image_on_both_sides_is_reported(sharp_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    train, validation = hold_out(find_files([sharp_folder / "0.png"]), 3)
    assert train == validation
    assert "shows over-fitting alone" in caplog.text


def test_copies_of_what_is_held_out_are_not_trained_on(tmp_path: Path) -> None:
    first, second, third = (write(tmp_path / f"{number}.png") for number in (1, 2, 3))
    shutil.copy(third, tmp_path / "copy.png")
    left = without_copies(Files((first, second, tmp_path / "copy.png"), ()), Files((third,), ()))
    assert left == Files((first, second), ())
