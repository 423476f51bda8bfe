"""What is measured of an image is what was done to it."""

import cv2
import numpy as np
import pytest

from pipeline.condition.condition import Condition, sample
from pipeline.condition.jpeg import quality_of, table
from pipeline.engine.condition import measure_image


def photo(height: int = 288, width: int = 384) -> np.ndarray:
    """Draw overlapping shapes of many colours, sharp and without noise."""
    generator, image = np.random.default_rng(0), np.full((height, width, 3), 128, np.uint8)
    for _ in range(150):
        x, y, radius = (int(value) for value in generator.integers(0, (width, height, 40)))
        colour = tuple(int(value) for value in generator.integers(20, 236, 3))
        cv2.circle(image, (x, y), radius, colour, -1)
    return image


def noisy(sigma: float, *, gray: bool = False) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, sigma, photo().shape)
    return np.clip(np.rint(photo() + (noise[..., :1] if gray else noise)), 0, 255).astype(np.uint8)


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize("sigma", [2, 6, 15, 24])
def test_white_noise_is_found_in_channels_and_colours(sigma: float) -> None:
    measured = measure_image(noisy(sigma))
    assert measured.noise == pytest.approx(sigma, rel=0.15)
    assert measured.colour_noise == pytest.approx(sigma, rel=0.15)


def test_gray_noise_is_not_in_the_colours() -> None:
    measured = measure_image(noisy(11, gray=True))
    assert measured.noise == pytest.approx(11, rel=0.15)
    assert measured.colour_noise < 1


def test_a_clean_image_is_clean() -> None:
    measured = measure_image(photo())
    assert measured.noise < 0.1
    assert measured.least_blur < 0.1
    assert not measured.was_jpeg


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_blur_is_measured_in_pixels(sigma: float) -> None:
    measured = measure_image(cv2.GaussianBlur(photo(), (0, 0), sigma))
    assert measured.least_blur == pytest.approx(sigma, abs=0.5)


def test_a_blur_in_one_direction_is_wide_and_narrow() -> None:
    measured = measure_image(cv2.blur(photo(), (9, 1)))
    assert measured.blur > 2
    assert measured.least_blur < 0.3


@pytest.mark.parametrize("quality", [30, 55, 75, 90])
def test_the_quality_of_a_jpeg_is_found_in_its_pixels(quality: int) -> None:
    assert measure_image(as_jpeg(photo(), quality)).jpeg == pytest.approx(quality, abs=1)


def test_a_cropped_jpeg_is_found() -> None:
    assert measure_image(as_jpeg(photo(), 50)[3:, 5:]).jpeg == pytest.approx(50, abs=2)


def test_the_worse_of_two_jpegs_counts() -> None:
    fine = tuple(int(step) for step in table(92))
    assert measure_image(as_jpeg(photo(), 40), fine).jpeg == pytest.approx(40, abs=1)
    assert measure_image(photo(), fine).jpeg == 92


@pytest.mark.parametrize("quality", [10, 49, 50, 77, 97])
def test_a_table_has_a_quality(quality: int) -> None:
    assert quality_of([int(step) for step in table(quality)]) == quality


def test_a_blank_screen_does_not_pass_for_a_blurred_photo() -> None:
    assert measure_image(np.full((128, 128, 3), 128, np.uint8)).aliasing == 0.25


def test_downscaling_without_a_filter_is_aliasing() -> None:
    image = np.random.default_rng(0).normal(128, 30, (512, 512, 3)).clip(0, 255).astype(np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 1.2)
    smooth, aliased = cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA), image[::2, ::2]
    assert measure_image(aliased).aliasing > 1.5 * measure_image(smooth).aliasing


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (7, 7), (40, 9), (97, 1000)])
def test_images_of_any_size_are_measured(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert np.isfinite(list(measure_image(image).rounded().values())).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_depth_does_not_matter(dtype: type) -> None:
    image = noisy(6)
    deeper = (image.astype(np.float64) * (257 if dtype == np.uint16 else 1 / 255)).astype(dtype)
    assert measure_image(deeper).noise == pytest.approx(measure_image(image).noise, rel=1e-4)


def test_gray_is_measured_as_colour() -> None:
    gray = noisy(11, gray=True)[..., 0]
    assert measure_image(gray) == measure_image(np.repeat(gray[..., None], 3, axis=2))


@pytest.mark.parametrize("size", [(96, 96), (360, 640), (5000, 3000), (50, 2000)])
def test_crops_are_few_whole_and_on_the_grid_of_jpeg(size: tuple[int, int]) -> None:
    regions = sample(*size)
    assert 1 <= len(regions) <= 16
    for region in regions:
        assert region.rows.start % 8 == region.columns.start % 8 == 0
        assert region.rows.stop <= size[0]
        assert region.columns.stop <= size[1]


def test_a_condition_is_put_into_words() -> None:
    measured = Condition(noise=9.41, colour_noise=2, blur=0.83, least_blur=0, jpeg=72, aliasing=0.2)
    assert str(measured) == "noise 9.4, blur 0.8 px, JPEG 72"
