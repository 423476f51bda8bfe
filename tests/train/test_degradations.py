import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor

from train import degradations


def seeded() -> Generator:
    return Generator().manual_seed(1)


def test_noise_has_the_sigma_asked_for_and_is_not_clipped() -> None:
    noisy = degradations.add_gaussian_noise(torch.ones(2, 3, 200, 200), torch.tensor([0.0, 25.0]), seeded())
    assert noisy[0].eq(1).all()
    assert noisy[1].std().item() * 255 == pytest.approx(25, rel=0.02)
    assert noisy[1].max() > 1


def test_quantise_keeps_what_a_file_keeps() -> None:
    image = torch.tensor([-0.1, 0.5 / 255 + 1e-6, 1.4 / 255, 1.2])
    assert (degradations.quantise(image) * 255).tolist() == pytest.approx([0, 1, 1, 255])


KERNELS = {
    "gaussian": degradations.gaussian_kernels(torch.tensor([0.5, 2.0]), 15),
    "defocus": degradations.defocus_kernels(torch.tensor([0.0, 3.0]), 15),
    "shake": degradations.shake_kernels(torch.tensor([3.0, 12.0]), 15, seeded()),
}


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS.keys())
def test_kernels_keep_the_brightness(kernels: Tensor) -> None:
    assert kernels.shape == (2, 15, 15)
    assert (kernels >= 0).all()
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(2))


@pytest.mark.parametrize("length", [3.0, 9.0, 28.0])
def test_shake_is_as_long_as_asked(length: float) -> None:
    kernels = degradations.shake_kernels(torch.full((16,), length), 57, seeded())
    for kernel in kernels:
        rows, columns = torch.nonzero(kernel, as_tuple=True)
        extent = max(rows.max() - rows.min(), columns.max() - columns.min()).item()
        assert length - 1 <= extent <= length + 2


def test_shakes_differ_and_repeat_with_the_seed() -> None:
    first, second = (degradations.shake_kernels(torch.full((2,), 9.0), 15, seeded()) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_blur_equals_a_direct_convolution() -> None:
    image = torch.rand(2, 3, 20, 17)
    kernels = degradations.shake_kernels(torch.tensor([4.0, 7.0]), 9, seeded())
    padded = torch.nn.functional.pad(image, (4, 4, 4, 4), mode="replicate")
    for index in range(2):
        weight = kernels[index].flip(0, 1).expand(3, 1, 9, 9)
        expected = torch.nn.functional.conv2d(padded[index], weight, groups=3)
        torch.testing.assert_close(degradations.blur(image, kernels)[index], expected, atol=1e-5, rtol=0)


def test_a_point_kernel_changes_nothing() -> None:
    image = torch.rand(1, 3, 9, 9)
    point = degradations.defocus_kernels(torch.zeros(1), 5)
    torch.testing.assert_close(degradations.blur(image, point), image, atol=1e-6, rtol=0)


def test_linear_light_and_back() -> None:
    image = torch.linspace(0, 1, 256).view(1, 1, 16, 16)
    back = degradations.from_linear_light(degradations.to_linear_light(image))
    assert (back - image).abs().max() < 0.5 / 255


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_downscale_is_the_antialiased_bicubic_of_the_field(scale: int) -> None:
    """Pillow's kernel is MATLAB's; only the border is treated in another way."""
    image = np.random.default_rng(0).random((24 * scale, 20 * scale), dtype=np.float32)
    expected = np.asarray(Image.fromarray(image).resize((20, 24), Image.Resampling.BICUBIC))
    result = degradations.bicubic_downscale(torch.from_numpy(image)[None, None], scale)[0, 0].numpy()
    np.testing.assert_allclose(result[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-5)


def test_downscale_rounds_after_each_pass_rows_first() -> None:
    image = degradations.quantise(torch.rand(1, 3, 16, 12))
    rows = degradations.quantise(degradations.downscale_matrix(16, 2).float() @ image)
    expected = degradations.quantise(rows @ degradations.downscale_matrix(12, 2).float().T)
    assert torch.equal(degradations.bicubic_downscale(image, 2, rounded=True), expected)


def test_downscale_refuses_sizes_it_cannot_halve() -> None:
    with pytest.raises(ValueError, match="got 9 pixels, expected a multiple of 2"):
        degradations.bicubic_downscale(torch.rand(1, 3, 8, 9), 2)
