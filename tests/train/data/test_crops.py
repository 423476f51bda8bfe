import numpy as np
import pytest
import torch
from torch import Generator

from pipeline.errors import ConfigError
from train.data.crops import CropBank, PairBank
from train.data.images import ImageBlock


def block_of(images: list[np.ndarray]) -> ImageBlock:
    block = ImageBlock(sum(image.shape[0] * image.shape[1] for image in images), torch.device("cpu"))
    for image in images:
        block.append(image)
    return block


def coordinates(height: int, width: int, index: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, index)], axis=2).astype(np.uint8)


def test_crops_are_whole_pieces_of_one_image_in_eight_orientations() -> None:
    bank = CropBank(block_of([coordinates(20, 30, 0), coordinates(40, 25, 1)]), (8, 8))
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
    images = block_of([coordinates(20, 30, 0), coordinates(40, 25, 1)])
    only_second = CropBank(images, (24, 24)).sample(8, Generator().manual_seed(0))
    assert (only_second[:, 2] * 255).unique().tolist() == [1.0]
    with pytest.raises(ConfigError, match="none of 2 readable images has 26 x 26 pixels"):
        CropBank(images, (26, 26))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_both_sides_of_a_pair_are_cut_at_the_same_place(scale: int) -> None:
    small = [coordinates(20, 30, 0), coordinates(40, 25, 1)]
    large = [image.repeat(scale, axis=0).repeat(scale, axis=1) for image in small]
    bank = PairBank(block_of(small), block_of(large), (6 * scale, 6 * scale), scale)
    degraded, clean = bank.sample(50, Generator().manual_seed(0))
    assert degraded.shape == (50, 3, 6, 6)
    assert torch.equal(degraded.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3), clean)


def test_small_and_large_pairs_are_equally_likely() -> None:
    images = block_of([np.full((side, side, 3), side, np.uint8) for side in (16, 64)])
    bank = PairBank(images, images, (16, 16), 1)
    small = (bank.sample(400, Generator().manual_seed(0))[0][:, 0, 0, 0] * 255).round() == 16
    assert 160 < small.sum() < 240


def test_crops_stay_as_they_are_where_that_is_asked_for() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    bank = CropBank(block_of([image]), (9, 9), augment=False)
    crops = bank.sample(8, Generator().manual_seed(0))
    assert torch.equal((crops * 255).round().byte(), torch.from_numpy(image).permute(2, 0, 1).expand(8, 3, 9, 9))


def test_crops_need_not_be_square() -> None:
    bank = CropBank(block_of([coordinates(6, 9, 0)]), (6, 9))
    crops = (bank.sample(40, Generator().manual_seed(0)) * 255).round().long()
    assert crops.shape == (40, 3, 6, 9)
    corners = {tuple(crop[:2, 0, 0].tolist()) for crop in crops}
    assert corners == {(0, 0), (0, 8), (5, 0), (5, 8)}
