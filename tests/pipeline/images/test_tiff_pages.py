"""Of a TIFF file with several pages or odd channels the one full image is read, or the file is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pipeline.errors import RefusedImage
from pipeline.images import read_image, write_image
from pipeline.images.tiff_pages import find_tiff_image
from tests.pipeline.images.samples import photo


def pages(path: Path, *images: np.ndarray, reduced: tuple[int, ...] = ()) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        for index, pixels in enumerate(images):
            tiff.write(pixels, photometric="rgb", subfiletype=int(index in reduced), metadata=None)
    return path


@pytest.mark.parametrize("full", [0, 1])
def test_thumbnails_are_left_behind_and_named(tmp_path: Path, full: int) -> None:
    images = [photo(8, 12, 3), photo(9, 7, 3)]
    path = pages(tmp_path / "a.tif", *images, reduced=(1 - full,))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, images[full])
    assert image.losses == ("1 smaller page (thumbnail, pyramid or mask) not carried",)


@pytest.mark.parametrize("marked", [True, False])
def test_of_a_pyramid_the_largest_level_is_read(tmp_path: Path, marked: bool) -> None:
    levels = [photo(41, 60, 3), photo(20, 30, 3), photo(10, 15, 3)]
    path = pages(tmp_path / "a.tif", *levels, reduced=(1, 2) if marked else ())
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, levels[0])
    assert image.losses == ("2 smaller pages (thumbnail, pyramid or mask) not carried",)


def test_two_full_pages_are_refused(tmp_path: Path) -> None:
    path = pages(tmp_path / "a.tif", photo(20, 30, 3), photo(20, 30, 3), photo(5, 5, 3), reduced=(2,))
    with pytest.raises(RefusedImage, match="holds 3 images, expected a still image"):
        read_image(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [1, 3])
def test_channels_of_unknown_meaning_are_no_alpha(tmp_path: Path, dtype: type, colours: int) -> None:
    pixels = photo(8, 12, colours + 1, dtype=dtype)
    photometric = "rgb" if colours == 3 else "minisblack"
    planes = {"planarconfig": "contig", "photometric": photometric, "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", pixels, extrasamples=[0], **planes)
    image = read_image(tmp_path / "a.tif")
    assert image.alpha is None
    np.testing.assert_array_equal(image.pixels, pixels[..., :3] if colours == 3 else pixels[..., 0])
    assert image.losses == ("an extra channel that is not alpha (such as infrared) is not carried",)
    tifffile.imwrite(tmp_path / "b.tif", pixels, extrasamples=[2], **planes)
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").alpha, pixels[..., -1])


def test_five_channels_and_twelve_bits_are_refused_as_what_they_are(tmp_path: Path) -> None:
    planes = {"photometric": "rgb", "planarconfig": "contig", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", photo(8, 12, 5), extrasamples=[0, 0], **planes)
    with pytest.raises(RefusedImage, match="holds 5 channels, of which 3 are colour"):
        read_image(tmp_path / "a.tif")
    relabel(tmp_path / "a.tif", 258, 12)
    with pytest.raises(RefusedImage, match="holds 12 bits a channel, expected 8 or 16"):
        read_image(tmp_path / "a.tif")


def test_old_style_jpeg_is_refused(tmp_path: Path) -> None:
    path = pages(tmp_path / "a.tif", photo(16, 16, 3))
    relabel(path, 259, 6)
    with pytest.raises(RefusedImage, match="old-style JPEG"):
        read_image(path)


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        (262, 32803, "raw data of a sensor"),
        (262, 34892, "raw data of a sensor"),
        (262, 9, "colours in ICC Lab"),
        (262, 32845, "HDR values"),
        (262, 6, "YCbCr without JPEG"),
        (258, 64, "64 bits a channel"),
        (259, 34712, "compressed by scheme 34712"),
    ],
)
def test_what_would_be_taken_for_gray_or_rgb_is_refused(tmp_path: Path, tag: int, value: int, words: str) -> None:
    path = pages(tmp_path / "a.tif", photo(16, 16, 3))
    relabel(path, tag, value)
    with pytest.raises(RefusedImage, match=words):
        read_image(path)


def test_tags_of_maps_are_named(tmp_path: Path) -> None:
    scale = [(33550, "d", 3, (1.0, 1.0, 0.0), False)]
    tifffile.imwrite(tmp_path / "a.tif", photo(8, 12, 3), photometric="rgb", metadata=None, extratags=scale)
    image = read_image(tmp_path / "a.tif")
    assert image.losses == ("GeoTIFF tags (position and scale on the map) are not carried",)
    write_image(tmp_path / "b.tif", image)
    assert read_image(tmp_path / "b.tif").losses == ()


def test_a_damaged_tag_of_several_values_is_passed_over(tmp_path: Path) -> None:
    tags = [(254, "I", 2, (0, 0), True)]
    tifffile.imwrite(tmp_path / "a.tif", photo(8, 12, 3), photometric="rgb", metadata=None, extratags=tags)
    assert read_image(tmp_path / "a.tif").pixels.shape == (8, 12, 3)


def test_a_directory_that_tifffile_cannot_compute_with_is_left_to_the_decoder(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, photo(8, 12, 3), photometric="rgb", metadata=None, bigtiff=True)
    rows = struct.pack("<HHQQ", 278, 4, 1, 8)  # of a strip
    assert rows in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(rows, struct.pack("<HHQd", 278, 12, 1, 5e-324)))
    assert find_tiff_image(path) is None


def relabel(path: Path, tag: int, value: int) -> None:
    """Overwrite one tag of the first page."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        entry = tiff.pages.first.tags[tag]
        entry.overwrite(value if entry.count == 1 else (value,) * entry.count)
