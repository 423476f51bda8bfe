"""Files that are cut off, damaged, unsupported and too large are distinguished."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import BrokenImage, RefusedImage
from pipeline.images import ImageFile, read_image, write_image
from tests.pipeline.images.samples import photo


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".bmp", ".jp2", ".ppm"])
def test_a_file_without_its_end_is_called_cut_off(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix in (".bmp", ".jp2", ".ppm"):
        cv2.imwrite(str(path), photo(64, 64, 3))
    else:
        write_image(path, ImageFile(photo(64, 64, 3)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(BrokenImage, match="is cut off") as caught:
        read_image(path)
    assert caught.value.reason == "cut off"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_whole_file_of_wrong_bytes_is_called_damaged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, ImageFile(photo(64, 64, 3)))
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 400] = np.random.default_rng(0).bytes(400)
    path.write_bytes(data)
    with pytest.raises(BrokenImage, match=r"is damaged: its .* data cannot be decoded") as caught:
        read_image(path)
    assert caught.value.reason == "damaged"


def test_other_reasons_are_other_words(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, ImageFile(photo(64, 64, 3)))
    with pytest.raises(RefusedImage, match=r"allow more \(max_pixels: 4096\)") as large:
        read_image(path, max_pixels=100)
    path.write_bytes(b"\0\0\0\x1cftypheic" + bytes(40))
    with pytest.raises(RefusedImage, match="HEIC") as unsupported:
        read_image(path)
    assert (large.value.reason, unsupported.value.reason) == ("too large", "unsupported")
