from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import richardson_lucy

from stages.errors import WeightsError
from stages.kernel_files import read_kernel
from stages.richardson_lucy import RichardsonLucyConfig

LOPSIDED = np.array([[0, 1, 2, 4, 2], [3, 2, 6, 3, 1], [1, 0, 1, 1, 0]], dtype=np.float64)


@pytest.fixture
def photo() -> np.ndarray:
    return data.astronaut()[60:160, 180:290] / 255


def to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).float().permute(2, 0, 1)[None]


def test_equals_scikit_image(photo: np.ndarray, tmp_path: Path) -> None:
    """With a kernel that is not its own mirror image; borders are treated in another way."""
    np.save(tmp_path / "kernel.npy", LOPSIDED)
    stage = RichardsonLucyConfig(kernel=tmp_path / "kernel.npy", iterations=6).build()
    result = stage(to_tensor(photo))[0].permute(1, 2, 0).numpy()
    psf = LOPSIDED / LOPSIDED.sum()
    expected = np.stack([richardson_lucy(photo[..., c], psf, num_iter=6, clip=False) for c in range(3)], axis=2)
    inner = slice(stage.halo, -stage.halo)
    np.testing.assert_allclose(result[inner, inner], expected[inner, inner], atol=1e-4)


def test_undoes_a_gaussian_blur(photo: np.ndarray) -> None:
    blurred = cv2.GaussianBlur(photo, (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE)
    result = RichardsonLucyConfig(sigma=1.5, iterations=20).build()(to_tensor(blurred))[0].permute(1, 2, 0).numpy()
    before, after = (peak_signal_noise_ratio(photo, image, data_range=1) for image in (blurred, result.astype(float)))
    assert after >= before + 2


def test_a_kernel_may_be_an_image_file(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "kernel.png"), (LOPSIDED * 40).astype(np.uint8))
    np.testing.assert_allclose(read_kernel(tmp_path / "kernel.png"), LOPSIDED / LOPSIDED.sum(), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("k.npy", np.zeros((3, 3)), "is no blur kernel: expected finite weights"),
        ("k.npy", np.array([[1.0, -0.5]]), "none negative"),
        ("k.npy", np.array([[1.0, np.nan]]), "finite"),
        ("k.npy", np.ones((3, 3, 3)), r"shape \(3, 3, 3\), expected numbers in rows and columns"),
        ("k.npy", np.array([{}]), "is not NumPy's .npy"),
        ("k.npy", b"", "is not NumPy's .npy"),
        ("k.png", b"nonsense", "is neither an image nor .npy"),
    ],
)
def test_what_is_no_kernel_is_refused(tmp_path: Path, name: str, content: np.ndarray | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(WeightsError, match=message):
        RichardsonLucyConfig(kernel=path).build()


def test_one_kernel_is_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "kernel.npy", LOPSIDED)
    with pytest.raises(ValidationError, match="got both sigma and kernel"):
        RichardsonLucyConfig(sigma=1.0, kernel=tmp_path / "kernel.npy")


def test_black_stays_black() -> None:
    assert not RichardsonLucyConfig().build()(torch.zeros(1, 3, 20, 20)).any()
