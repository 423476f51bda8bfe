import logging
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import pyvips
import torch

from pipeline.errors import BrokenImage
from train.data.images import load_clean, load_pairs, read_clean, read_pairs, read_rgb, read_size, reduce_pair
from train.data.layouts import find_files

CPU = torch.device("cpu")


@pytest.fixture
def textured() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)


def test_a_broken_file_is_named_and_left_out(sharp_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (sharp_folder / "broken.png").write_bytes(b"not an image")
    with caplog.at_level(logging.WARNING):
        images = list(read_clean(find_files([sharp_folder]).clean))
    assert len(images) == 6
    assert "broken.png" in caplog.text


def test_a_jpeg_that_is_cut_off_is_not_trained_on(textured: np.ndarray, tmp_path: Path) -> None:
    whole = cv2.imencode(".jpg", textured)[1].tobytes()
    preview = b"\xff\xe1\x00\x10" + b"\xff\xd8\xff\xda" + b"\x00" * 8 + b"\xff\xd9"
    (tmp_path / "whole.jpg").write_bytes(whole[:2] + preview + whole[2:] + b"what a phone adds")
    assert read_rgb(tmp_path / "whole.jpg").shape == (80, 120, 3)
    (tmp_path / "half.jpg").write_bytes(whole[:2] + preview + whole[2 : len(whole) // 2])
    with pytest.raises(BrokenImage, match=r"half\.jpg is cut off"):
        read_rgb(tmp_path / "half.jpg")
    with pytest.raises(BrokenImage, match=r"none\.jpg cannot be read: No such file"):
        read_rgb(tmp_path / "none.jpg")


def test_pairs_of_unequal_size_are_left_out(pair_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    pairs = find_files([pair_folder]).pairs
    smaller = read_rgb(pairs[0][0])[:-2]
    cv2.imwrite(str(pairs[0][0]), smaller)
    assert [(degraded.shape, clean.shape) for degraded, clean in read_pairs(pairs)] == [((48, 56, 3), (48, 56, 3))] * 3
    assert "46 x 56 pixels" in caplog.text
    assert not list(read_pairs(pairs, scale=2))


def test_reduced_pairs_still_show_the_same_place(textured: np.ndarray) -> None:
    pair = textured[::2, ::2], textured
    sizes = [(degraded.shape[:2], clean.shape[:2]) for degraded, clean in reduce_pair(pair, [1.0, 0.6], scale=2)]
    assert sizes == [((40, 60), (80, 120)), ((24, 36), (48, 72))]
    ((degraded, clean),) = reduce_pair((textured, textured), [0.5])
    np.testing.assert_array_equal(degraded, clean)
    np.testing.assert_allclose(clean.mean(), textured.mean(), atol=0.5)


def test_headers_hold_the_size_that_decoding_gives(textured: np.ndarray, tmp_path: Path) -> None:
    for suffix in (".bmp", ".jfif", ".jp2", ".jpe", ".jpg", ".png", ".ppm", ".tif", ".webp"):
        encoding = {".jfif": ".jpg"}.get(suffix, suffix)
        (tmp_path / f"image{suffix}").write_bytes(cv2.imencode(encoding, textured)[1].tobytes())
        assert read_size(tmp_path / f"image{suffix}") == (80, 120)
    (tmp_path / "broken.png").write_bytes(b"not an image")
    assert read_size(tmp_path / "broken.png") == (0, 0)


def test_images_lie_one_behind_the_other_and_fill_their_block(sharp_folder: Path) -> None:
    (sharp_folder / "broken.png").write_bytes(b"not an image")
    paths = find_files([sharp_folder]).clean
    block = load_clean(paths, CPU)
    assert block.sizes == [(48, 56)] * 6
    expected = np.concatenate([image.reshape(-1, 3) for image in read_clean(paths)])
    np.testing.assert_array_equal(block.pixels.numpy(), expected)


def test_pairs_lie_at_every_size_asked_for(pair_folder: Path) -> None:
    degraded, clean = load_pairs(find_files([pair_folder]).pairs, [1.0, 0.6], 1, CPU)
    assert degraded.sizes == clean.sizes == [(48, 56), (29, 34)] * 4
    assert len(degraded.pixels) == len(clean.pixels) == 4 * (48 * 56 + 29 * 34)


def test_data_are_never_in_memory_twice(textured: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(40):
        cv2.imwrite(str(tmp_path / f"{index:02}.bmp"), np.tile(textured, (4, 4, 1)))
    monkeypatch.setattr("train.data.images._DECODED_AHEAD", 4)
    paths = find_files([tmp_path]).clean
    tracemalloc.start()  # it sees NumPy's memory, that of the files and the decoded images, and not torch's
    try:
        block = load_clean(paths, CPU)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * block.pixels.nbytes


def test_data_that_will_not_fit_are_reported_before_they_are_decoded(
    sharp_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths = find_files([sharp_folder]).clean
    load_clean(paths, CPU)
    assert not caplog.text
    monkeypatch.setattr("train.data.images.free_memory", lambda device: 6 * 48 * 56)
    load_clean(paths, CPU)
    assert "but cpu has 0.0 GB of memory free" in caplog.text


@pytest.mark.parametrize("suffix", [".avif", ".gif", ".jp2", ".pfm"])
def test_what_opencv_lacks_is_read_as_restoring_reads_it(suffix: str, textured: np.ndarray, tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(textured, (0, 0), 5)
    path, image = tmp_path / f"image{suffix}", pyvips.Image.new_from_array(smooth, interpretation="srgb")
    if suffix == ".pfm":
        path.write_bytes(cv2.imencode(".pfm", (smooth[..., ::-1] / 255).astype(np.float32))[1].tobytes())
    elif suffix == ".jp2":
        path.write_bytes(cv2.imencode(".jp2", smooth[..., ::-1])[1].tobytes())
    else:
        image.write_to_file(str(path))
    assert read_size(path) == (80, 120)
    assert np.abs(read_rgb(path).astype(int) - smooth).mean() < 8
