"""A small training set: synthetic images with structure at every scale."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from train.config import TrainingConfig
from train.data.batches import TrainingBatches


def write_image(path: Path, seed: int, size: tuple[int, int] = (48, 56)) -> np.ndarray:
    generator = np.random.default_rng(seed)
    image = sum(
        cv2.resize(generator.normal(0, 20, (n, n, 3)), size[::-1], interpolation=cv2.INTER_CUBIC) for n in (2, 4, 8, 16)
    )
    pixels = np.clip(image + 128, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels[..., ::-1])
    return pixels


@pytest.fixture
def sharp_folder(tmp_path: Path) -> Path:
    for index in range(6):
        write_image(tmp_path / "photos" / f"{index}.png", index)
    return tmp_path / "photos"


@pytest.fixture
def pair_folder(tmp_path: Path) -> Path:
    for scene in ("a", "b"):
        for index in range(2):
            clean = write_image(tmp_path / "pairs" / scene / "sharp" / f"{index}.png", index)
            blurred = cv2.GaussianBlur(clean, (0, 0), 1.5)
            (tmp_path / "pairs" / scene / "blur").mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / "pairs" / scene / "blur" / f"{index}.png"), blurred[..., ::-1])
    return tmp_path / "pairs"


@pytest.fixture(autouse=True)
def _without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plotting takes half of the time of a run as short as those of the tests."""
    monkeypatch.setattr("train.fit.plot_curves", lambda folder: None)


@pytest.fixture
def _a_second_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of training go on by a second with every batch, and only then."""
    clock = SimpleNamespace(seconds=0.0, monotonic=lambda: clock.seconds)
    make = TrainingBatches.__getitem__

    def a_second_later(batches: TrainingBatches, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        clock.seconds += 1
        return make(batches, index)

    monkeypatch.setattr(TrainingBatches, "__getitem__", a_second_later)
    monkeypatch.setattr("train.callbacks.schedules.time", clock)
    monkeypatch.setattr("lightning.pytorch.callbacks.timer.time", clock)


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "stage": {"stage": "dncnn", "depth": 4, "width": 8, "skips": True, "batch_norm": False},
            "trained_for": "noise of sigma 25",
            "degradation": [{"kind": "gaussian_noise", "sigma": [25.0, 25.0]}],
            "data": {
                "crop_size": 16,
                "batch_size": 4,
                "validation_crop_size": 32,
                "validation_repeats": 1,
                "held_out": 3,
            },
            "learning_rate": 0.01,
            "ema_decay": 0.9,
            "schedule": {"kind": "plateau"},
            "steps_per_epoch": 8,
        }
    )


@pytest.fixture(scope="session")
def random_mobilenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from torchvision.models import mobilenet_v3_large

    path = tmp_path_factory.mktemp("published") / "mobilenet_v3_large.pth"
    torch.save(mobilenet_v3_large().state_dict(), path)
    return path


@pytest.fixture
def mobilenet(random_mobilenet: Path, tmp_path: Path) -> Path:
    """A fake of torchvision's published file of MobileNetV3: its tensors, drawn at random."""
    (tmp_path / random_mobilenet.name).hardlink_to(random_mobilenet)
    return tmp_path / random_mobilenet.name
