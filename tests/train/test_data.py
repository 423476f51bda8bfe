import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Generator

from train.data import CropBank, find_files, read_clean, read_pairs, read_rgb


def test_pairs_and_clean_images_are_told_apart(sharp_folder: Path, pair_folder: Path) -> None:
    files = find_files([sharp_folder.parent])
    assert [path.name for path in files.clean] == [f"{index}.png" for index in range(6)]
    assert len(files.pairs) == 4
    assert all(degraded.parent.name == "blur" and clean.parent.name == "sharp" for degraded, clean in files.pairs)


def test_a_missing_or_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a folder of images"):
        find_files([tmp_path / "none"])
    with pytest.raises(FileNotFoundError, match="no images below"):
        find_files([tmp_path])


def test_held_out_files_are_never_learnt_from(sharp_folder: Path) -> None:
    files = find_files([sharp_folder])
    train, held_out = files.split(3)
    assert held_out.clean
    assert set(train.clean) | set(held_out.clean) == set(files.clean)
    assert not set(train.clean) & set(held_out.clean)


def test_a_scene_is_held_out_whole(pair_folder: Path) -> None:
    train, held_out = find_files([pair_folder]).split(2)
    scenes = [{clean.parents[1].name for _, clean in files.pairs} for files in (train, held_out)]
    assert not scenes[0] & scenes[1]
    assert scenes[0]


def test_a_broken_file_is_named_and_left_out(sharp_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (sharp_folder / "broken.png").write_bytes(b"not an image")
    with caplog.at_level(logging.WARNING):
        images = read_clean(find_files([sharp_folder]).clean)
    assert len(images) == 6
    assert "broken.png" in caplog.text


def test_pairs_of_unequal_size_are_left_out(pair_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    pairs = find_files([pair_folder]).pairs
    smaller = read_rgb(pairs[0][0])[:-2]

    cv2.imwrite(str(pairs[0][0]), smaller)
    images = read_pairs(pairs)
    assert [image.shape for image in images] == [(48, 56, 6)] * 3
    assert "46" in caplog.text


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
    with pytest.raises(ValueError, match="none of 2 images is 26 pixels high and wide"):
        CropBank(images, 26, torch.device("cpu"))
