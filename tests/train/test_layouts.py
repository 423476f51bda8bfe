import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from train.layouts import Files, find_files, refuse_leakage, scene_of, without_copies


def make(root: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f"{root} {name}".encode() * (index + 1))
    return root


def named(files: Files, root: Path) -> tuple[list[str], list[tuple[str, str]]]:
    def name(path: Path) -> str:
        return path.relative_to(root).as_posix()

    return [name(path) for path in files.clean], [(name(degraded), name(clean)) for degraded, clean in files.pairs]


def test_pairs_and_clean_images_are_told_apart(sharp_folder: Path, pair_folder: Path) -> None:
    files = find_files([sharp_folder.parent])
    assert [path.name for path in files.clean] == [f"{index}.png" for index in range(6)]
    assert len(files.pairs) == 4
    assert all(degraded.parent.name == "blur" and clean.parent.name == "sharp" for degraded, clean in files.pairs)


@pytest.mark.parametrize("blur", ["blur", "blur_gamma"])
def test_gopro_has_two_kinds_of_blur(tmp_path: Path, blur: str) -> None:
    root = make(tmp_path, *(f"train/GOPR0372/{kind}/000047.png" for kind in ("blur", "blur_gamma", "sharp")))
    pair = (f"train/GOPR0372/{blur}/000047.png", "train/GOPR0372/sharp/000047.png")
    assert named(find_files([root], blur), root) == ([], [pair])  # type: ignore[arg-type]
    assert scene_of(root / pair[1]).name == "GOPR0372"


@pytest.mark.parametrize(("degraded", "clean"), [("input", "target"), ("noisy", "clean"), ("lq", "gt")])
def test_folders_of_pairs_by_their_usual_names(tmp_path: Path, degraded: str, clean: str) -> None:
    root = make(tmp_path, f"{degraded}/a.png", f"{degraded}/alone.png", f"{clean}/a.png", f"{clean}/b.png")
    assert named(find_files([root]), root) == ([f"{clean}/b.png"], [(f"{degraded}/a.png", f"{clean}/a.png")])


def test_the_two_sides_of_a_pair_may_differ_in_format(tmp_path: Path) -> None:
    root = make(tmp_path, "blur/a.jpg", "sharp/a.png")
    assert named(find_files([root]), root) == ([], [("blur/a.jpg", "sharp/a.png")])


def test_names_with_spaces_are_listed_with_a_tab(tmp_path: Path) -> None:
    make(tmp_path, "a b.png", "c d.png")
    (tmp_path / "pairs.txt").write_text("a b.png\tc d.png\n")
    assert named(find_files([tmp_path / "pairs.txt"]), tmp_path) == ([], [("c d.png", "a b.png")])


def test_copies_of_what_is_held_out_are_not_learnt_from(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "3.png").read_bytes())
    train = Files(tuple(tmp_path / name for name in ("1.png", "2.png", "copy.png")), ())
    left = without_copies(train, Files((tmp_path / "3.png",), ()))
    assert named(left, tmp_path) == (["1.png", "2.png"], [])


def test_reds_keeps_its_sides_in_two_trees(tmp_path: Path) -> None:
    root = make(tmp_path, "train_sharp/000/00000000.png", "train_blur/000/00000000.png", "train_blur_bicubic/000/0.png")
    pair = ("train_blur/000/00000000.png", "train_sharp/000/00000000.png")
    assert named(find_files([root]), root) == ([], [pair])
    assert scene_of(root / pair[1]) == root / "train_sharp" / "000"


@pytest.mark.parametrize("name", ["DIV2K_train_", "Set5/"])
def test_div2k_holds_pairs_for_a_stage_that_enlarges_and_else_sharp_images(tmp_path: Path, name: str) -> None:
    pair = (f"{name}LR_bicubic/X2/1x2.png", f"{name}HR/1.png")
    root = make(tmp_path, *pair, f"{name}HR/2.png")
    assert named(find_files([root]), root) == ([f"{name}HR/1.png", f"{name}HR/2.png"], [])
    assert find_files([root], scale=3) == find_files([root])
    assert named(find_files([root], scale=2), root) == ([f"{name}HR/2.png"], [pair])
    assert scene_of(root / pair[1]) == root / pair[1]


def test_realblur_goes_by_its_lists(tmp_path: Path) -> None:
    root = make(tmp_path, "RealBlur-J/scene001/blur/blur_1.png", "RealBlur-J/scene001/gt/gt_1.png")
    line = "RealBlur-J/scene001/gt/gt_1.png RealBlur-J/scene001/blur/blur_1.png\n"
    (root / "RealBlur_J_train_list.txt").write_text(line)
    (root / "RealBlur_J_test_list.txt").write_text(line * 2)
    pair = ("RealBlur-J/scene001/blur/blur_1.png", "RealBlur-J/scene001/gt/gt_1.png")
    for source in (root, root / "RealBlur_J_test_list.txt"):
        assert named(find_files([source]), root) == ([], [pair])
    assert scene_of(root / pair[1]).name == "scene001"
    (root / "RealBlur_J_train_list.txt").write_text(f"{line}only_one\n")
    with pytest.raises(ValueError, match=r"train_list.txt:2: got 1 words, expected `clean degraded`"):
        find_files([root])


def test_missing_and_empty_sources_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a folder of images, an image or a list"):
        find_files([tmp_path / "none"])
    with pytest.raises(FileNotFoundError, match="no images below"):
        find_files(iter([tmp_path]))
    make(tmp_path, "blur/a.png")
    with pytest.raises(FileNotFoundError, match="count only beside their sharp"):
        find_files([tmp_path / "blur"])


def test_held_out_files_are_never_learnt_from(sharp_folder: Path) -> None:
    files = find_files([sharp_folder])
    for every in (1, 3, 10**9):
        train, held_out = files.split(every)
        assert held_out.clean
        assert train.clean
        assert set(train.clean) | set(held_out.clean) == set(files.clean)
        assert not set(train.clean) & set(held_out.clean)


def scenes(files: Files) -> set[str]:
    return {scene_of(clean).name for _, clean in files.pairs}


@pytest.mark.parametrize("every", [1, 2, 10**9])
def test_a_scene_is_held_out_whole(pair_folder: Path, every: int) -> None:
    train, held_out = find_files([pair_folder]).split(every)
    assert scenes(train) | scenes(held_out) == {"a", "b"}
    assert not scenes(train) & scenes(held_out)


def test_of_a_single_scene_the_last_frames_are_held_out(pair_folder: Path) -> None:
    train, held_out = find_files([pair_folder / "a"]).split(25)
    assert [clean.name for _, clean in train.pairs] == ["0.png"]
    assert [clean.name for _, clean in held_out.pairs] == ["1.png"]


def test_a_single_image_is_learnt_by_heart(sharp_folder: Path) -> None:
    alone = find_files([sharp_folder / "0.png"])
    assert alone.split(25) == (alone, alone)


def leaks(train: Iterable[Path], validation: Iterable[Path]) -> str:
    with pytest.raises(ValueError, match="--val must hold nothing that --data holds") as caught:
        refuse_leakage(find_files(train), find_files(validation))
    return str(caught.value)


def test_a_file_on_both_sides_is_refused_under_any_name(sharp_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    shutil.copy(sharp_folder / "3.png", tmp_path / "val" / "another.png")
    told = leaks([sharp_folder], [tmp_path / "val"])
    assert "another.png" in told
    assert "3.png" in told
    assert "0.png" in leaks([sharp_folder], [sharp_folder / "0.png"])


def test_a_scene_on_both_sides_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path, *(f"{scene}/{side}/{n}.png" for scene in "ab" for side in ("sharp", "blur") for n in "01"))
    first, second = (find_files([root / scene]) for scene in "ab")
    refuse_leakage(first, second)
    with pytest.raises(ValueError, match=f"scene {root / 'a'}"):
        refuse_leakage(Files((), first.pairs[:1]), Files((), first.pairs[1:]))


def test_training_and_test_sets_have_nothing_in_common(shared_data: Path) -> None:
    refuse_leakage(find_files([shared_data / "train"]), find_files([shared_data / "test"]))
