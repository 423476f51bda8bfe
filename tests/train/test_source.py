from pathlib import Path

import torch

from train.config import TrainingConfig
from train.data import Files, find_files
from train.source import StepSampler, TrainingBatches, ValidationImages

CPU = torch.device("cpu")


def test_a_batch_depends_on_its_number_alone(config: TrainingConfig, sharp_folder: Path) -> None:
    files = find_files([sharp_folder])
    batches, again = (TrainingBatches(config, files, CPU) for _ in range(2))
    batches[0]
    degraded, clean = batches[5]
    assert torch.equal(degraded, again[5][0])
    assert torch.equal(clean, again[5][1])
    assert not torch.equal(clean, batches[6][1])


def test_degraded_is_smaller_by_the_scale(config: TrainingConfig, sharp_folder: Path) -> None:
    recipe = [{"kind": "blur"}, {"kind": "downscale", "factor": 2}]
    small = TrainingConfig.model_validate(config.model_dump() | {"degradation": recipe})
    degraded, clean = TrainingBatches(small, find_files([sharp_folder]), CPU)[0]
    assert degraded.shape == (4, 3, 8, 8)
    assert clean.shape == (4, 3, 16, 16)


def test_pairs_take_their_share(config: TrainingConfig, sharp_folder: Path, pair_folder: Path) -> None:
    both = find_files([sharp_folder, pair_folder])
    quiet = config.model_copy(update={"degradation": []})
    degraded, clean = TrainingBatches(quiet, both, CPU)[0]
    assert [bool((a != b).any()) for a, b in zip(degraded, clean, strict=True)] == [True, True, False, False]
    degraded, clean = TrainingBatches(quiet, Files((), both.pairs), CPU)[0]
    assert all((a != b).any() for a, b in zip(degraded, clean, strict=True))


def test_steps_count_on_through_epochs() -> None:
    sampler = StepSampler(3)
    assert list(sampler) == [0, 1, 2]
    sampler.set_epoch(2)
    assert list(sampler) == [6, 7, 8]


def test_validation_images_are_always_alike(config: TrainingConfig, sharp_folder: Path, pair_folder: Path) -> None:
    files = find_files([sharp_folder, pair_folder])
    first, second = (ValidationImages(config, files, multiple_of=4) for _ in range(2))
    assert len(first) == 10
    for index in range(10):
        degraded, clean = first[index]
        assert degraded.shape == clean.shape == (1, 3, 32, 32)
        assert torch.equal(degraded, second[index][0])
