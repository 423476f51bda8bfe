"""EXIF and IPTC of TIFF files; their way through other formats is in ``test_metadata.py``."""

from pathlib import Path

import numpy as np
import pytest
import pyvips

from pipeline.images.tiff_metadata import append_tiff_metadata, read_tiff_metadata
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
