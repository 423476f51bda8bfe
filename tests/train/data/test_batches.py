from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipeline.errors import ConfigError
from train.config import TrainingConfig
from train.data.batches import StepSampler, TrainingBatches, ValidationImages
from train.data.layouts import Files, find_files

CPU = torch.device("cpu")


def test_a_batch_depends_on_its_number_alone(config: TrainingConfig, sharp_folder: Path) -> None:
    files = find_files([sharp_folder])
    batches, again = (TrainingBatches(config, files, CPU) for _ in range(2))
    batches[0]
    degraded, clean = batches[5]
    assert torch.equal(degraded, again[5][0])
    assert torch.equal(clean, again[5][1])
    assert not torch.equal(clean, batches[6][1])


def test_processes_share_one_large_batch(config: TrainingConfig, sharp_folder: Path, pair_folder: Path) -> None:
    files = find_files([sharp_folder, pair_folder])
    double = config.model_copy(update={"data": config.data.model_copy(update={"batch_size": 8})})
    whole = TrainingBatches(double, files, CPU)[3]
    shares = [TrainingBatches(config, files, CPU, rank, ranks=2)[3] for rank in (0, 1)]
    for side in (0, 1):
        assert shares[0][side].shape == (4, 3, 16, 16)
        assert torch.equal(torch.stack([share[side] for share in shares], dim=1).flatten(0, 1), whole[side])


def test_what_is_done_to_clean_images_is_not_to_be_undone(config: TrainingConfig, sharp_folder: Path) -> None:
    blur = {"kind": "blur", "gaussian": [1.5, 1.5], "weights": [1, 0, 0, 0, 0]}
    soft = TrainingConfig.model_validate(config.model_dump() | {"clean_degradation": [blur], "degradation": []})
    degraded, clean = TrainingBatches(soft, find_files([sharp_folder]), CPU)[0]
    _, sharp = TrainingBatches(config, find_files([sharp_folder]), CPU)[0]
    assert torch.equal(degraded, clean)
    assert clean.shape == sharp.shape
    assert clean.diff().abs().mean() < 0.9 * sharp.diff().abs().mean()


def upscaling(config: TrainingConfig) -> TrainingConfig:
    stage = {"stage": "edsr", "scale": 2, "width": 8, "depth": 1}
    degradation = [{"kind": "blur"}, {"kind": "downscale", "factor": 2}]
    return TrainingConfig.model_validate(config.model_dump() | {"stage": stage, "degradation": degradation})


def test_degraded_is_smaller_by_the_scale(config: TrainingConfig, sharp_folder: Path) -> None:
    degraded, clean = TrainingBatches(upscaling(config), find_files([sharp_folder]), CPU)[0]
    assert degraded.shape == (4, 3, 8, 8)
    assert clean.shape == (4, 3, 16, 16)


def test_pairs_take_their_share(config: TrainingConfig, sharp_folder: Path, pair_folder: Path) -> None:
    both = find_files([sharp_folder, pair_folder])
    quiet = config.model_copy(update={"degradation": []})
    degraded, clean = TrainingBatches(quiet, both, CPU)[0]
    assert [bool((a != b).any()) for a, b in zip(degraded, clean, strict=True)] == [True, True, False, False]
    degraded, clean = TrainingBatches(quiet, Files((), both.pairs), CPU)[0]
    assert all((a != b).any() for a, b in zip(degraded, clean, strict=True))


def test_pairs_of_a_set_for_super_resolution_are_its_own(config: TrainingConfig, tmp_path: Path) -> None:
    for folder in ("X_HR", "X_LR_bicubic/X2"):
        (tmp_path / folder).mkdir(parents=True)
    small = np.random.default_rng(0).integers(0, 256, (20, 25, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "X_LR_bicubic" / "X2" / "1x2.png"), small)
    cv2.imwrite(str(tmp_path / "X_HR" / "1.png"), small.repeat(2, axis=0).repeat(2, axis=1))
    files = find_files([tmp_path], scale=2)
    degraded, clean = TrainingBatches(upscaling(config), files, CPU)[0]
    assert torch.equal(F.interpolate(degraded, scale_factor=2), clean)
    degraded, clean = ValidationImages(upscaling(config), files, multiple_of=1)[0]
    assert torch.equal(F.interpolate(degraded, scale_factor=2), clean)
    assert clean.shape == (1, 3, 32, 32)


def test_steps_count_on_through_epochs() -> None:
    sampler = StepSampler(3)
    assert list(sampler) == [0, 1, 2]
    sampler.set_epoch(2)
    assert list(sampler) == [6, 7, 8]


def test_validation_images_are_always_alike(config: TrainingConfig, sharp_folder: Path, pair_folder: Path) -> None:
    files = find_files([sharp_folder, pair_folder])
    first, second = (ValidationImages(config, files, multiple_of=4) for _ in range(2))
    assert len(first) == 6 + 4
    for index in range(10):
        degraded, clean = first[index]
        assert degraded.shape == clean.shape == (1, 3, 32, 32)
        assert torch.equal(degraded, second[index][0])


def test_images_too_small_to_validate_on_are_reported(config: TrainingConfig, sharp_folder: Path) -> None:
    with pytest.raises(ConfigError, match="none of the images to validate on"):
        ValidationImages(config, find_files([sharp_folder]), multiple_of=64)


def test_one_validation_image_covers_the_degradation(config: TrainingConfig, sharp_folder: Path) -> None:
    """By chance, a single version of a single image may be clean."""
    steps = [{"kind": "gaussian_noise", "sigma": [0.0, 48.0], "probability": 0.75}]
    data = config.data.model_dump() | {"validation_repeats": None}
    several = TrainingConfig.model_validate(config.model_dump() | {"degradation": steps, "data": data})
    images = ValidationImages(several, find_files([sharp_folder / "0.png"]), multiple_of=1)
    assert images.described() == "16 degraded versions of 1 image"
    sigmas = torch.stack([(degraded - clean).std() * 255 for degraded, clean in images.samples]).sort().values
    assert (sigmas == 0).sum() == 4
    assert sigmas[-1] > 24
    assert sigmas[4] < 24
    assert sigmas.unique().numel() == 13


def test_many_validation_images_are_degraded_once(config: TrainingConfig, tmp_path: Path) -> None:
    data = config.data.model_dump() | {"validation_repeats": None}
    once = TrainingConfig.model_validate(config.model_dump() | {"data": data})
    for index in range(17):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((40, 40, 3), index, np.uint8))
    images = ValidationImages(once, find_files([tmp_path]), multiple_of=1)
    assert (len(images), images.described()) == (17, "17 images")


def test_whole_images_can_be_resized_instead_of_cropped(
    config: TrainingConfig, sharp_folder: Path, pair_folder: Path
) -> None:
    data = config.data.model_dump() | {"resize": [24, 32], "crop_size": 64}
    steps = [{"kind": "blur"}, {"kind": "gaussian_noise", "sigma": [5.0, 5.0]}]
    whole = TrainingConfig.model_validate(config.model_dump() | {"data": data, "degradation": steps})
    files = find_files([sharp_folder, pair_folder])
    degraded, clean = TrainingBatches(whole, files, CPU)[0]
    assert degraded.shape == clean.shape == (4, 3, 24, 32)
    assert not torch.equal(degraded, clean)
    assert all(side.shape == (1, 3, 24, 32) for sample in ValidationImages(whole, files, 1).samples for side in sample)
