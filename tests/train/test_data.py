import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Generator

from train.data import CropBank, PairBank, read_clean, read_pairs, read_rgb, reduced
from train.layouts import find_files


@pytest.fixture
def textured() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)


def test_a_broken_file_is_named_and_left_out(sharp_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (sharp_folder / "broken.png").write_bytes(b"not an image")
    with caplog.at_level(logging.WARNING):
        images = read_clean(find_files([sharp_folder]).clean)
    assert len(images) == 6
    assert "broken.png" in caplog.text


def test_a_jpeg_that_is_cut_off_is_not_learnt_from(textured: np.ndarray, tmp_path: Path) -> None:
    whole = cv2.imencode(".jpg", textured)[1].tobytes()
    preview = b"\xff\xe1\x00\x10" + b"\xff\xd8\xff\xda" + b"\x00" * 8 + b"\xff\xd9"
    (tmp_path / "whole.jpg").write_bytes(whole[:2] + preview + whole[2:] + b"what a phone adds")
    assert read_rgb(tmp_path / "whole.jpg").shape == (80, 120, 3)
    (tmp_path / "half.jpg").write_bytes(whole[:2] + preview + whole[2 : len(whole) // 2])
    with pytest.raises(ValueError, match=r"half\.jpg is cut off"):
        read_rgb(tmp_path / "half.jpg")
    with pytest.raises(ValueError, match=r"none\.jpg cannot be read: No such file"):
        read_rgb(tmp_path / "none.jpg")


def test_pairs_of_unequal_size_are_left_out(pair_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    pairs = find_files([pair_folder]).pairs
    smaller = read_rgb(pairs[0][0])[:-2]
    cv2.imwrite(str(pairs[0][0]), smaller)
    images = read_pairs(pairs)
    assert [(degraded.shape, clean.shape) for degraded, clean in images] == [((48, 56, 3), (48, 56, 3))] * 3
    assert "46 x 56 pixels" in caplog.text
    assert not read_pairs(pairs, scale=2)


def coordinates(height: int, width: int, index: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, index)], axis=2).astype(np.uint8)


def test_crops_are_whole_pieces_of_one_image_in_eight_orientations() -> None:
    bank = CropBank([coordinates(20, 30, 0), coordinates(40, 25, 1)], 8, torch.device("cpu"))
    crops = (bank.sample(400, Generator().manual_seed(0)) * 255).round().long()
    assert crops.shape == (400, 3, 8, 8)
    orientations, images = set(), set()
    for rows, columns, index in crops:
        down, across = rows[1, 0] - rows[0, 0], rows[0, 1] - rows[0, 0]
        orientations.add((down.item(), across.item(), (columns[1, 1] - columns[0, 0]).item()))
        images.update(index.unique().tolist())
        assert index.unique().numel() == 1
        assert (rows.max() - rows.min(), columns.max() - columns.min()) == (7, 7)
    assert images == {0, 1}
    assert len(orientations) == 8


def test_small_images_are_left_out_and_too_large_crops_refused() -> None:
    images = [coordinates(20, 30, 0), coordinates(40, 25, 1)]
    only_second = CropBank(images, 24, torch.device("cpu")).sample(8, Generator().manual_seed(0))
    assert (only_second[:, 2] * 255).unique().tolist() == [1.0]
    with pytest.raises(ValueError, match="none of 2 readable images is 26 pixels high and wide"):
        CropBank(images, 26, torch.device("cpu"))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_both_sides_of_a_pair_are_cut_at_the_same_place(scale: int) -> None:
    small = [coordinates(20, 30, 0), coordinates(40, 25, 1)]
    pairs = [(image, image.repeat(scale, axis=0).repeat(scale, axis=1)) for image in small]
    degraded, clean = PairBank(pairs, 6 * scale, scale, torch.device("cpu")).sample(50, Generator().manual_seed(0))
    assert degraded.shape == (50, 3, 6, 6)
    assert torch.equal(degraded.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3), clean)


def test_small_and_large_pairs_are_equally_likely() -> None:
    images = [np.full((side, side, 3), side, np.uint8) for side in (16, 64)]
    bank = PairBank([(image, image) for image in images], 16, 1, torch.device("cpu"))
    small = (bank.sample(400, Generator().manual_seed(0))[0][:, 0, 0, 0] * 255).round() == 16
    assert 160 < small.sum() < 240


def test_reduced_pairs_still_show_the_same_place(textured: np.ndarray) -> None:
    pair = textured[::2, ::2], textured
    sizes = [(degraded.shape[:2], clean.shape[:2]) for degraded, clean in reduced([pair], [1.0, 0.6], scale=2)]
    assert sizes == [((40, 60), (80, 120)), ((24, 36), (48, 72))]
    ((degraded, clean),) = reduced([(textured, textured)], [0.5])
    np.testing.assert_array_equal(degraded, clean)
    np.testing.assert_allclose(clean.mean(), textured.mean(), atol=0.5)


def test_crops_stay_as_they_are_where_that_is_asked_for() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    bank = CropBank([image], 9, torch.device("cpu"), oriented=False)
    crops = bank.sample(8, torch.Generator().manual_seed(0))
    assert torch.equal((crops * 255).round().byte(), torch.from_numpy(image).permute(2, 0, 1).expand(8, 3, 9, 9))
