"""TIFF files in CIELAB are converted to sRGB."""

import struct
from pathlib import Path

import numpy as np

from pipeline.images import read_image
from tests.pipeline.images.samples import saved


def relabel_as_lab(path: Path) -> None:
    """Turn an RGB TIFF into a Lab one: libvips itself writes no 8-bit Lab."""
    data = bytearray(path.read_bytes())
    entry = data.index(struct.pack("<HHIH", 262, 3, 1, 2))
    struct.pack_into("<H", data, entry + 8, 8)
    path.write_bytes(data)


def test_lab_is_converted_with_a_note(tmp_path: Path) -> None:
    lab = np.zeros((16, 16, 3), np.uint8) + np.array([128, 0, 256 - 40], np.uint8)
    relabel_as_lab(saved(tmp_path / "b.tif", lab, compression="deflate"))
    blue = read_image(tmp_path / "b.tif")
    assert blue.notes == ("Lab converted to sRGB",)
    np.testing.assert_allclose(blue.pixels[0, 0], [78, 122, 188], atol=1)  # by the formulas of CIE and sRGB
