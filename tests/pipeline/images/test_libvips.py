"""The cache of libvips is off, and threads do not disturb each other."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pipeline.images import ImageFile, read_image, write_image


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
