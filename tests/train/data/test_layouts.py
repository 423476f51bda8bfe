from pathlib import Path

import cv2
import pytest

from pipeline.errors import ConfigError
from tests.train.conftest import write_image
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
    with pytest.raises(ConfigError, match="count only beside their clean side"):
        find_files([tmp_path / "blur"])


@pytest.mark.parametrize(
    ("degraded", "clean"),
    [
        ("LQ/0.png", "GT/0.png"),
        ("Blur/0.png", "Sharp/0.png"),
        ("blur/0_blur.png", "sharp/0.png"),
        ("Input/in_iso3200.png", "Target/in.png"),
        ("input/input0.png", "target/target0.png"),
        ("low/1.png", "high/1.png"),
        ("train_LowQuality/1.png", "train_ground truth/1.png"),
        ("rain/rain-001.png", "norain/norain-001.png"),
        ("inputs/a/1.jpg", "GTs/a/1.png"),
        ("degraded/1.png", "original/1.png"),
        ("BlurImages/1.png", "SharpImages/1.png"),
        ("hazy/1_hazy.png", "GT/1_GT.png"),
        ("scene/0001_NOISY_SRGB_010.PNG", "scene/0001_GT_SRGB_010.PNG"),
        ("one/a_noisy.png", "one/a_clean.png"),
        ("one/a_blur.png", "one/a.png"),
    ],
)
def test_sides_are_known_by_the_words_of_the_field(tmp_path: Path, degraded: str, clean: str) -> None:
    clean = clean.replace("GTs", "GT")
    root = make(tmp_path, degraded, clean)
    assert named(find_files([root]), root) == ([], [(degraded, clean)])


@pytest.mark.parametrize(("low", "high"), [("lr/1x2.png", "hr/1.png"), ("LRbicx2/1.png", "GTmod12/1.png")])
def test_low_resolution_is_a_side_for_a_stage_that_upscales_and_left_out_for_others(
    tmp_path: Path, low: str, high: str
) -> None:
    root = make(tmp_path, low, high)
    assert named(find_files([root], scale=2), root) == ([], [(low, high)])
    assert named(find_files([root], scale=1), root) == ([high], [])


def test_the_two_sides_may_be_given_one_by_one(tmp_path: Path) -> None:
    make(tmp_path, "LQ/0.png", "GT/0.png")
    files = find_files([tmp_path / "LQ", tmp_path / "GT"])
    assert named(files, tmp_path) == ([], [("LQ/0.png", "GT/0.png")])


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["input/a.png", "raw/b.png"], "cannot distinguish degraded images from clean ones.*input"),
        (["Family_LR/a.png", "raw/b.png"], "Family_LR"),
        (["phone/a.png", "GT/a.png"], "phone: has the names of GT"),
        (["blur/a.png", "noise/a.png", "gt/a.png"], "may all be its degraded side"),
        (["blur/x.png", "blur/y.png", "sharp/1.png", "sharp/2.png"], "no names fit"),
        (["blur/a_blur.png", "blur/a_noisy.png", "sharp/a.png"], "may all be the degraded side"),
    ],
)
def test_what_is_unclear_is_refused(tmp_path: Path, names: list[str], match: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){match}"):
        find_files([make(tmp_path, *names)])


@pytest.mark.parametrize("names", [("phone", "dslr"), ("A", "B"), ("short", "long")])
def test_folders_of_unknown_names_that_show_the_same_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    for seed in range(2):
        sharp = write_image(tmp_path / names[1] / f"{seed}.png", seed)
        (tmp_path / names[0]).mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / names[0] / f"{seed}.jpg"), cv2.GaussianBlur(sharp // 2, (0, 0), 1.5))
    with pytest.raises(ConfigError, match=f"{names[0]}: shows what {names[1]} beside it shows; one may be its degra"):
        find_files([tmp_path])
    assert len(find_files([tmp_path / name for name in names]).clean) == 4


def test_folders_of_unknown_names_are_compared_with_all_below_them(tmp_path: Path) -> None:
    for seed in range(2):
        sharp = write_image(tmp_path / f"beta/scene/{seed}.png", seed)
        (tmp_path / "alpha/scene").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / f"alpha/scene/{seed}.jpg"), cv2.GaussianBlur(sharp, (0, 0), 1.5))
    with pytest.raises(ConfigError, match="alpha: shows what beta beside it shows"):
        find_files([tmp_path])


def test_folders_of_other_scenes_may_have_the_same_names(tmp_path: Path) -> None:
    for number in range(6):
        write_image(tmp_path / f"{number // 2:03}" / f"{number % 2}.png", number)
    assert len(find_files([tmp_path]).clean) == 6


def test_a_folder_that_is_given_itself_counts_as_clean_if_its_name_is_an_everyday_one(tmp_path: Path) -> None:
    make(tmp_path, "input/a.png", "LR_exports/b.png", "raw/c.png")
    files = find_files([tmp_path / "input", tmp_path / "LR_exports", tmp_path / "raw"])
    assert named(files, tmp_path) == (["input/a.png", "LR_exports/b.png", "raw/c.png"], [])


def test_system_files_and_results_of_ours_are_left_out(tmp_path: Path) -> None:
    names = ("a.png", "._a.png", ".thumbs/a.png", "@eaDir/a.png/THUMB.jpg", "#recycle/b.png", "out/a.png", "bad/a.png")
    root = make(tmp_path, *names)
    (root / "out/restoration.jsonl").write_text('{"input": "a.png", "output": "a.png", "status": "done"}\n')
    (root / "bad/degradation.yaml").write_text("degradation: []\n")
    files = find_files([root])
    assert named(files, root) == (["a.png"], [])
    assert files.origins == (
        f"{root}: 1 clean",
        f"{root}: 1 left out: folder out, which holds results of restorechain",
        f"{root}: 1 left out: in bad, which degrade has made",
    )


def test_what_was_taken_for_what_is_reported(tmp_path: Path) -> None:
    root = make(tmp_path, "LQ/0.png", "LQ/1.png", "GT/0.png", "GT/2.png", "blurry/5.png", "more/7_noisy.png")
    assert find_files([root]).origins == (
        f"{root}: 1 clean, 1 pairs from LQ + GT",
        f"{root}: 1 left out: in blurry, which is degraded by its name, without a clean side beside it",
        f"{root}: 1 left out: in LQ without a clean side in GT",
        f"{root}: 1 left out: degraded by the names of the files, without a clean side",
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "pairs.txt").write_text("s/é.png b/é.png\r\n", encoding=encoding)
    assert named(find_files([tmp_path / "pairs.txt"]), tmp_path) == ([], [("b/é.png", "s/é.png")])


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "utf-32"])
def test_lists_in_other_encodings_are_refused_by_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "pairs.txt").write_text("s/é.png b/é.png\n", encoding=encoding)
    with pytest.raises(ConfigError, match=r"pairs.txt is no text in UTF-8.*save it as UTF-8"):
        find_files([tmp_path / "pairs.txt"])
