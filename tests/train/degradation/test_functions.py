from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor

from train.degradation import functions


def seeded() -> Generator:
    return Generator().manual_seed(1)


def test_noise_has_the_sigma_asked_for_and_is_not_clipped() -> None:
    noisy = functions.add_gaussian_noise(torch.ones(2, 3, 200, 200), torch.tensor([0.0, 25.0]), seeded())
    assert noisy[0].eq(1).all()
    assert noisy[1].std().item() * 255 == pytest.approx(25, rel=0.02)
    assert noisy[1].max() > 1


def test_photons_vary_by_their_number_and_the_reading_adds() -> None:
    light = torch.full((2, 3, 200, 200), 0.25)
    photons, read_noise = torch.tensor([100.0, 10000.0]), torch.tensor([5.0, 0.0])
    noisy = functions.add_poisson_gaussian_noise(light, photons, read_noise, seeded())
    assert noisy.mean().item() == pytest.approx(0.25, abs=1e-3)
    expected = ((0.25 * photons + read_noise**2) / photons**2).sqrt()
    torch.testing.assert_close(noisy.std(dim=(1, 2, 3)), expected, rtol=0.02, atol=0)


def camera_noise(level: float, shot: float = 3e-3, luma: float = 0.0, chroma: float = 0.0, side: int = 96) -> Tensor:
    """What four cameras make of an even gray, less that gray."""
    cameras = functions.random_cameras(4, torch.device("cpu"), seeded())
    shots = torch.full((4,), shot)
    read = functions.read_noise_of(shots, seeded())
    image = torch.full((4, 3, side, side), level)
    smoothing = torch.full((4,), luma), torch.full((4,), chroma)
    return functions.add_camera_noise(image, shots, read, cameras, *smoothing, seeded()) - image


def neighbours(noise: Tensor) -> float:
    """Correlation of pixels with those to their right."""
    noise = noise - noise.mean(dim=(2, 3), keepdim=True)
    return ((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()).item()


def test_camera_noise_is_correlated_and_stronger_in_the_dark() -> None:
    bright, dark = camera_noise(0.8), camera_noise(0.3)
    assert neighbours(bright) > 0.15
    assert dark.std() > 1.2 * bright.std()
    white = torch.randn(4, 3, 96, 96, generator=seeded())
    assert coarse_colour(bright) > 1.3 * coarse_colour(white)


def test_camera_noise_smoothed_in_colour_is_gray_and_as_coarse_as_its_luma() -> None:
    raw, smooth, blurred = camera_noise(0.6), camera_noise(0.6, chroma=2.5), camera_noise(0.6, luma=0.9, chroma=2.5)
    assert colours_alike(raw) < 0.3 < 0.6 < colours_alike(smooth)
    assert (luma_of(smooth) - luma_of(raw)).std() < 0.1 * luma_of(raw).std()  # the tone curve moves it a little
    assert neighbours(luma_of(blurred)) > 0.6 > neighbours(luma_of(smooth))


def colours_alike(noise: Tensor) -> float:
    """Correlation of red and green."""
    return torch.corrcoef(torch.stack([noise[:, 0].flatten(), noise[:, 1].flatten()]))[0, 1].item()


def luma_of(noise: Tensor) -> Tensor:
    return torch.einsum("c,bchw->bhw", torch.tensor([0.299, 0.587, 0.114]), noise).unsqueeze(1)


def coarse_colour(noise: Tensor) -> float:
    """Share of the noise in red less green that is left in the means of 4x4 pixels."""
    colour = noise[:, 0] - noise[:, 1]
    return (torch.nn.functional.avg_pool2d(colour, 4).std() / noise.std()).item()


def test_camera_noise_keeps_the_mean_and_vanishes_with_its_variance() -> None:
    assert camera_noise(0.7).mean().abs() < 3e-3
    assert camera_noise(0.7, shot=1e-9).abs().max() < 1e-3


def test_camera_noise_fits_odd_sizes_and_repeats_with_its_generator() -> None:
    assert camera_noise(0.5, side=35).shape == (4, 3, 35, 35)
    assert torch.equal(camera_noise(0.5, side=35), camera_noise(0.5, side=35))


def test_quantise_keeps_what_a_file_keeps() -> None:
    image = torch.tensor([-0.1, 0.5 / 255 + 1e-6, 1.4 / 255, 1.2])
    assert (functions.quantise(image) * 255).tolist() == pytest.approx([0, 1, 1, 255])


KERNELS = {
    "gaussian": functions.gaussian_kernels(torch.tensor([0.5, 2.0]), 15),
    "defocus": functions.defocus_kernels(torch.tensor([0.0, 3.0]), 15),
    "shake": functions.shake_kernels(torch.tensor([3.0, 12.0]), 15, seeded()),
}


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS.keys())
def test_kernels_keep_the_brightness(kernels: Tensor) -> None:
    assert kernels.shape == (2, 15, 15)
    assert (kernels >= 0).all()
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(2))


@pytest.mark.parametrize("length", [3.0, 9.0, 28.0])
def test_shake_is_as_long_as_asked(length: float) -> None:
    kernels = functions.shake_kernels(torch.full((16,), length), 57, seeded())
    for kernel in kernels:
        rows, columns = torch.nonzero(kernel, as_tuple=True)
        extent = max(rows.max() - rows.min(), columns.max() - columns.min()).item()
        assert length - 1 <= extent <= length + 2


def test_shakes_differ_and_repeat_with_the_seed() -> None:
    first, second = (functions.shake_kernels(torch.full((2,), 9.0), 15, seeded()) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_blur_equals_a_direct_convolution() -> None:
    image = torch.rand(2, 3, 20, 17)
    kernels = functions.shake_kernels(torch.tensor([4.0, 7.0]), 9, seeded())
    padded = torch.nn.functional.pad(image, (4, 4, 4, 4), mode="replicate")
    for index in range(2):
        weight = kernels[index].flip(0, 1).expand(3, 1, 9, 9)
        expected = torch.nn.functional.conv2d(padded[index], weight, groups=3)
        torch.testing.assert_close(functions.blur(image, kernels)[index], expected, atol=1e-5, rtol=0)


def test_a_point_kernel_changes_nothing() -> None:
    image = torch.rand(1, 3, 9, 9)
    point = functions.defocus_kernels(torch.zeros(1), 5)
    torch.testing.assert_close(functions.blur(image, point), image, atol=1e-6, rtol=0)


def test_linear_light_and_back() -> None:
    image = torch.linspace(0, 1, 256).view(1, 1, 16, 16)
    back = functions.from_linear_light(functions.to_linear_light(image))
    assert (back - image).abs().max() < 0.5 / 255


def test_equal_kernels_everywhere_are_one_blur() -> None:
    image = torch.rand(2, 3, 20, 17)
    kernels = functions.gaussian_kernels(torch.tensor([0.8, 1.5]), 9)
    everywhere = kernels[:, None, None].expand(2, 3, 2, 9, 9)
    torch.testing.assert_close(
        functions.varying_blur(image, everywhere), functions.blur(image, kernels), atol=1e-5, rtol=0
    )


def test_a_varying_blur_is_each_kernel_at_its_place() -> None:
    image = torch.rand(1, 3, 21, 21)
    sharp, soft = functions.gaussian_kernels(torch.tensor([0.1, 2.0]), 9)
    result = functions.varying_blur(image, torch.stack([sharp, soft]).view(1, 1, 2, 9, 9))
    torch.testing.assert_close(result[..., 0], image[..., 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(result[..., -1], functions.blur(image, soft[None])[..., -1], atol=1e-5, rtol=0)


def test_an_object_keeps_its_own_blur_and_mixes_with_the_background_at_its_edge_alone() -> None:
    image, background = torch.rand(1, 3, 24, 24), torch.zeros(1, 3, 24, 24)
    shape = torch.zeros(1, 1, 24, 24)
    shape[..., 12:] = 1
    kernels = functions.defocus_kernels(torch.tensor([2.0]), 7)
    result = functions.object_blur(image, background, shape, kernels)
    torch.testing.assert_close(result[..., :9], background[..., :9], atol=1e-5, rtol=0)
    torch.testing.assert_close(result[..., 18:], functions.blur(image, kernels)[..., 18:], atol=1e-5, rtol=0)
    flat = functions.object_blur(torch.ones(1, 3, 24, 24), torch.zeros(1, 3, 24, 24), shape, kernels)
    assert 0.1 < flat[..., 12].mean() < 0.9


def test_shapes_cover_about_half_and_have_narrow_edges() -> None:
    shapes = functions.random_shapes(32, (64, 96), torch.device("cpu"), seeded())
    assert shapes.shape == (32, 1, 64, 96)
    assert 0.35 < shapes.mean() < 0.65
    assert ((shapes > 0) & (shapes < 1)).float().mean() < 0.1


def test_a_shake_without_rotation_is_a_blur_by_one_kernel() -> None:
    image = torch.zeros(1, 3, 41, 61)
    image[..., 12, 15] = image[..., 30, 45] = 1
    result = functions.shake(image, torch.tensor([9.0]), torch.zeros(1), seeded())
    kernel = result[:, 0, 3:22, 6:25]
    torch.testing.assert_close(functions.blur(image, kernel), result, atol=1e-5, rtol=0)
    rows, columns = torch.nonzero(kernel[0] > 1e-6, as_tuple=True)
    assert 8 <= max(rows.max() - rows.min(), columns.max() - columns.min()) <= 11


def test_rotation_blurs_along_circles_about_the_centre_and_most_in_the_corners() -> None:
    image = torch.zeros(1, 1, 61, 61)
    image[..., 30, 30] = image[..., 30, 50] = image[..., 50, 50] = 1
    result = functions.shake(image, torch.zeros(1), torch.tensor([9.0]), seeded())[0, 0]
    assert result[30, 30] == pytest.approx(1, abs=1e-3)
    side = torch.nonzero(result[:, 45:55] * (torch.arange(61) < 40)[:, None] > 1e-4)
    assert 4 <= side[:, 0].max() - side[:, 0].min() + 1 <= 9
    assert side[:, 1].max() - side[:, 1].min() <= 2
    corner = torch.nonzero(result[40:, 40:] > 1e-4)
    assert (corner.max(dim=0).values - corner.min(dim=0).values).tolist() == pytest.approx([6, 6], abs=2)


@pytest.mark.parametrize("linear_light", [False, True])
def test_averaged_frames_keep_what_stands_still(linear_light: bool) -> None:
    still = torch.rand(2, 1, 3, 8, 8).clamp_min(0.01).expand(2, 5, 3, 8, 8)
    averaged = functions.average_frames(still, linear_light=linear_light)
    torch.testing.assert_close(averaged, still[:, 0], atol=1e-5, rtol=0)


def test_light_passing_by_is_brighter_where_light_is_averaged() -> None:
    flash = torch.zeros(1, 4, 3, 2, 2)
    flash[:, 0] = 1
    assert functions.average_frames(flash, linear_light=False).mean() == 0.25
    assert functions.average_frames(flash, linear_light=True).mean().item() == pytest.approx(0.25 ** (1 / 2.2))


def photo(height: int, width: int) -> np.ndarray:
    """Make smooth colours, edges and some texture, ``(H, W, 3)`` uint8."""
    random = np.random.default_rng(0)
    image = sum(cv2.resize(random.normal(0, 25, (n, n, 3)), (width, height)) for n in (3, 9, 30)) + 128
    return cv2.rectangle(np.clip(image, 0, 255).astype(np.uint8), (20, 10), (45, 50), (200, 30, 90), -1)


@pytest.mark.parametrize("half_chroma", [True, False], ids=["half", "full"])
@pytest.mark.parametrize("quality", [10, 49, 75, 95])
def test_jpeg_is_that_of_libjpeg(quality: int, half_chroma: bool) -> None:
    pixels = photo(75, 93)
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if half_chroma else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    expected = cv2.imdecode(cv2.imencode(".jpg", pixels[..., ::-1], options)[1], cv2.IMREAD_COLOR_RGB)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    result = functions.compress_jpeg(image, torch.tensor([float(quality)]), half_chroma=half_chroma)
    difference = np.abs(result[0].permute(1, 2, 0).numpy() * 255 - expected)
    assert difference.mean() < 0.8
    # A coefficient just between two steps falls to either side, which moves its whole block a little.
    assert (difference > 2.5).mean() < 0.06


def test_jpeg_takes_one_quality_an_image() -> None:
    image = torch.rand(1, 3, 24, 24).expand(2, 3, 24, 24)
    both = functions.compress_jpeg(image, torch.tensor([20.0, 90.0]))
    assert torch.equal(both[1:], functions.compress_jpeg(image[1:], torch.tensor([90.0])))
    error = (both - image).abs().mean(dim=(1, 2, 3))
    assert error[0] > error[1] > 0


DOWNSCALES = {
    Image.Resampling.BICUBIC: functions.bicubic_downscale,
    Image.Resampling.LANCZOS: functions.lanczos_downscale,
    Image.Resampling.BOX: functions.area_downscale,
}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("method", DOWNSCALES, ids=lambda method: method.name)
def test_downscale_is_the_antialiased_one_of_the_field(method: Image.Resampling, scale: int) -> None:
    """Pillow's kernels are MATLAB's; only the border is treated in another way."""
    image = np.random.default_rng(0).random((24 * scale, 20 * scale), dtype=np.float32)
    expected = np.asarray(Image.fromarray(image).resize((20, 24), method))
    result = DOWNSCALES[method](torch.from_numpy(image)[None, None], scale)[0, 0].numpy()
    np.testing.assert_allclose(result[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-5)


def test_rounded_areas_are_those_of_opencv() -> None:
    pixels = photo(32, 40)
    result = functions.area_downscale(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255, 4, rounded=True)
    expected = cv2.resize(pixels, (10, 8), interpolation=cv2.INTER_AREA)
    assert np.abs(result[0].permute(1, 2, 0).numpy() * 255 - expected).max() < 1.001  # ties


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_aliased_downscale_is_that_of_opencv(scale: int) -> None:
    image = np.random.default_rng(0).random((24 * scale, 20 * scale), dtype=np.float32)
    result = functions.aliased_downscale(torch.from_numpy(image)[None, None], scale)[0, 0].numpy()
    np.testing.assert_allclose(result, cv2.resize(image, (20, 24), interpolation=cv2.INTER_CUBIC), atol=1e-5)


def test_downscale_rounds_after_each_pass_rows_first() -> None:
    image = functions.quantise(torch.rand(1, 3, 16, 12))
    rows = functions.quantise(functions.downscale_matrix(16, 2).float() @ image)
    expected = functions.quantise(rows @ functions.downscale_matrix(12, 2).float().T)
    assert torch.equal(functions.bicubic_downscale(image, 2, rounded=True), expected)


@pytest.mark.parametrize("downscale", [*DOWNSCALES.values(), functions.aliased_downscale])
def test_downscale_refuses_sizes_it_cannot_halve(downscale: Callable[[Tensor, int], Tensor]) -> None:
    with pytest.raises(ValueError, match="got 9 pixels, expected a multiple of 2"):
        downscale(torch.rand(1, 3, 8, 9), 2)


@pytest.mark.parametrize("downscale", [*DOWNSCALES.values(), functions.aliased_downscale])
def test_images_smaller_than_the_kernel_keep_their_brightness(downscale: Callable[[Tensor, int], Tensor]) -> None:
    torch.testing.assert_close(downscale(torch.full((1, 3, 4, 8), 0.3), 4), torch.full((1, 3, 1, 2), 0.3))
