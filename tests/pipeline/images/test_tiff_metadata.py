"""EXIF and IPTC of TIFF files; their way through other formats is in ``test_metadata.py``."""

import io
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from pipeline.images import read_image
from pipeline.images.exif_block import exif_colour_space, exif_tags
from pipeline.images.tiff_metadata import (
    append_tiff_metadata,
    colour_space_of,
    read_tiff_metadata,
)
from tests.pipeline.images.samples import IPTC, photo, saved


@pytest.mark.parametrize("cut", [0, 4, 8, 20])
def test_a_truncated_file_has_no_metadata(tmp_path: Path, cut: int) -> None:
    path = saved(tmp_path / "a.tif", photo(4, 6, 3))
    path.write_bytes(path.read_bytes()[:cut])
    assert read_tiff_metadata(path) == (None, None)


def test_appended_blocks_are_read_back_and_the_pixels_stay(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", photo(4, 6, 3))
    append_tiff_metadata(path, None, IPTC, width=6, height=4)
    assert read_tiff_metadata(path) == (None, IPTC)
    np.testing.assert_array_equal(pyvips.Image.new_from_file(str(path)).numpy(), photo(4, 6, 3))


@pytest.mark.parametrize("layout", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"bigtiff": True, "byteorder": ">"}])
def test_texts_of_every_kind_of_tiff_are_read(tmp_path: Path, layout: dict[str, object]) -> None:
    texts = [
        (285, 2, 0, "page", True),
        (315, 2, 0, "a longer name of an artist", True),
        (40091, 1, 4, b"a\0\0\0", True),
    ]
    tifffile.imwrite(tmp_path / "a.tif", photo(4, 6, 3), photometric="rgb", metadata=None, extratags=texts, **layout)
    exif, _ = read_tiff_metadata(tmp_path / "a.tif")
    assert exif is not None
    assert {("EXIF", 285), ("EXIF", 315), ("EXIF", 40091)} <= exif_tags(exif)
    assert b"a longer name of an artist" in exif


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({0xA001: 2}, "Adobe RGB"),
        ({0xA001: 1}, None),
        ({0xA005: b"R03"}, "Adobe RGB"),
        ({0xA001: 0xFFFF}, "uncalibrated"),
        ({0xA001: 0xFFFF, 0xA005: b"R03"}, "Adobe RGB"),
        ({0xA001: 0xFFFF, 0xA005: b"R98"}, None),
    ],
)
def test_colour_spaces_are_known_by_exif(values: dict[int, object], named: str | None) -> None:
    exif = Image.Exif()
    for tag, value in values.items():
        exif.get_ifd(0x8769)[tag] = {1: value} if tag == 0xA005 else value
    block = exif.tobytes()
    assert exif_colour_space(block) == named
    assert exif_colour_space(block[:20]) is None
    assert colour_space_of(io.BytesIO(block[6:])) == named


def test_adobe_rgb_of_the_exif_of_a_tiff_becomes_a_profile(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2
    path = saved(tmp_path / "a.tif", photo(4, 6, 3))
    append_tiff_metadata(path, exif.tobytes(), None, width=6, height=4)
    image = read_image(path)
    assert image.notes == ("the colour space (EXIF, Adobe RGB) is carried as an ICC profile",)
    assert image.metadata.icc is not None
