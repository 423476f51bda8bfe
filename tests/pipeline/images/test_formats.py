"""The table of formats is consistent, and every format in it works."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.images import READABLE, WRITABLE, ImageFile, read_image, write_image
from pipeline.images.formats import FORMATS


def test_every_written_format_is_read_and_each_suffix_belongs_to_one() -> None:
    suffixes = [suffix for known in FORMATS for suffix in (*known.suffixes, *known.read_only)]
    assert len(suffixes) == len(set(suffixes)) == len(READABLE)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)
    assert WRITABLE < READABLE


@pytest.mark.parametrize("suffix", sorted(WRITABLE))
def test_every_writable_format_is_close_and_readable(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix.upper()}"
    y, x = np.mgrid[:40, :60]
    pixels = np.stack([4 * x, 6 * y, 2 * x + 3 * y], axis=-1).astype(np.uint8)
    write_image(path, ImageFile(pixels))
    assert np.abs(read_image(path).pixels.astype(int) - pixels).mean() < 1.5
    assert suffix in READABLE
