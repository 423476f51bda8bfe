"""The cache of libvips is off, threads do not disturb each other, and neither do names that are not UTF-8."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BrokenImage
from pipeline.images import ImageFile, read_image, write_image
from tests.pipeline.images.samples import photo, saved


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    for value in (1, 2):
        write_image(tmp_path / "a.png", ImageFile(np.full((4, 4), value, np.uint8)))
        assert read_image(tmp_path / "a.png").pixels[0, 0] == value


def test_many_threads_at_once(tmp_path: Path) -> None:
    def there_and_back(number: int) -> bool:
        path = tmp_path / f"{number}.png"
        pixels = np.full((40, 50, 3), number, np.uint8)
        write_image(path, ImageFile(pixels))
        return bool((read_image(path).pixels == pixels).all())

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(there_and_back, range(40)))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="all names are Unicode there")
def test_a_name_that_is_not_utf8_fails_no_later_image(tmp_path: Path) -> None:
    good, damaged = tmp_path / "a.tif", tmp_path / os.fsdecode(b"caf\xe9.tif")
    saved(good, photo(64, 64, 3))
    damaged.write_bytes(good.read_bytes()[:6000])
    with pytest.raises(BrokenImage, match="is cut off"):
        read_image(damaged)
    assert read_image(good).pixels.shape == (64, 64, 3)


def test_the_error_of_a_file_is_its_own_while_others_fail(tmp_path: Path) -> None:
    """Libvips has one text of errors for all threads, and keeps warnings in it, too."""
    files = {".png": "PNG", ".tif": "TIFF", ".jpg": "JPEG"}
    for suffix in files:
        options = {"compression": "deflate"} if suffix == ".tif" else {}
        data = bytearray(saved(tmp_path / f"a{suffix}", photo(64, 64, 3), **options).read_bytes())
        if suffix == ".jpg":
            data[data.index(b"\xff\xc4") + 4 :] = bytes(9) + b"\xff\xd9"  # no tables to decode with
        data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
        (tmp_path / f"a{suffix}").write_bytes(data)

    def error_of(suffix: str) -> str:
        with pytest.raises(BrokenImage) as caught:
            read_image(tmp_path / f"a{suffix}")
        return str(caught.value)

    alone = {suffix: error_of(suffix) for suffix in files}
    assert all(name in alone[suffix] and "(" in alone[suffix] for suffix, name in files.items())
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(error_of, [*files] * 40))
    assert found == [alone[suffix] for suffix in files] * 40
