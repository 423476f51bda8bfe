from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from train.data.layouts import Files, find_files, scene_of


def make(root: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f"{root} {name}".encode() * (index + 1))
    return root


def named(files: Files, root: Path) -> tuple[list[str], list[tuple[str, str]]]:
    def name(path: Path) -> str:
        return path.relative_to(root).as_posix()

    return [name(path) for path in files.clean], [(name(degraded), name(clean)) for degraded, clean in files.pairs]


def test_pairs_and_clean_images_are_distinguished(sharp_folder: Path, pair_folder: Path) -> None:
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


def test_reds_keeps_its_sides_in_two_trees(tmp_path: Path) -> None:
    root = make(tmp_path, "train_sharp/000/00000000.png", "train_blur/000/00000000.png", "train_blur_bicubic/000/0.png")
    pair = ("train_blur/000/00000000.png", "train_sharp/000/00000000.png")
    assert named(find_files([root]), root) == ([], [pair])
    assert scene_of(root / pair[1]) == root / "train_sharp" / "000"


@pytest.mark.parametrize("name", ["DIV2K_train_", "Set5/"])
def test_div2k_holds_pairs_for_a_stage_that_upscales_and_else_sharp_images(tmp_path: Path, name: str) -> None:
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
    with pytest.raises(ConfigError, match=r"train_list.txt:2: got 1 words, expected `clean degraded`"):
        find_files([root])


def test_missing_and_empty_sources_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a folder of images, an image or a list"):
        find_files([tmp_path / "none"])
    with pytest.raises(ConfigError, match="no images below"):
        find_files(iter([tmp_path]))
    make(tmp_path, "blur/a.png")
    with pytest.raises(ConfigError, match="count only beside their sharp"):
        find_files([tmp_path / "blur"])
