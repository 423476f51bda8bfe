"""TIFF files in CIELAB are converted to sRGB."""

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.images import read_image
from tests.pipeline.images.samples import saved


def save_lab(path: Path, *, large: bool) -> None:
    """Write a Lab TIFF, or BigTIFF, as RGB and relabel it: libvips itself writes no 8-bit Lab."""
    lab = np.zeros((16, 16, 3), np.uint8) + np.array([128, 0, 256 - 40], np.uint8)
    data = bytearray(saved(path, lab, compression="deflate", bigtiff=large).read_bytes())
    entry = struct.pack("<HHQH" if large else "<HHIH", 262, 3, 1, 2)
    struct.pack_into("<H", data, data.index(entry) + len(entry) - 2, 8)
    path.write_bytes(data)


@pytest.mark.parametrize("large", [False, True])
def test_lab_is_converted_with_a_note(tmp_path: Path, large: bool) -> None:
    save_lab(tmp_path / "a.tif", large=large)
    blue = read_image(tmp_path / "a.tif")
    assert blue.notes == ("Lab converted to sRGB",)
    np.testing.assert_allclose(blue.pixels[0, 0], [78, 122, 188], atol=1)  # by the formulas of CIE and sRGB


@pytest.mark.parametrize("large", [False, True])
def test_damaged_bytes_end_in_an_image_or_an_image_error(tmp_path: Path, large: bool) -> None:
    path = tmp_path / "a.tif"
    save_lab(path, large=large)
    data = path.read_bytes()
    for position in range(4, len(data), 3):
        path.write_bytes(data[:position] + bytes([255 - data[position]]) + data[position + 1 :])
        with suppress(ImageError):
            read_image(path)
