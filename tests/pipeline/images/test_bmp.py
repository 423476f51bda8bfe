"""BMP files of 16 and 32 bits are read by their masks."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import BrokenImage, RefusedImage
from pipeline.images import read_image
from tests.pipeline.images.samples import photo

COLOURS = photo(6, 7, 3)


def bmp(path: Path, packed: np.ndarray, coding: int, masks: tuple[int, ...] = (), header: int = 40) -> Path:
    """Write packed pixels, the lowest row first, as BMP does."""
    height, width = packed.shape
    rows = b"".join(row.tobytes().ljust(-(-packed.itemsize * width // 4) * 4, b"\0") for row in packed[::-1])
    fields = struct.pack("<IiiHHIIiiII", header, width, height, 1, 8 * packed.itemsize, coding, len(rows), 0, 0, 0, 0)
    fields = (fields + struct.pack(f"<{len(masks)}I", *masks)).ljust(header, b"\0")
    start = 14 + len(fields)
    path.write_bytes(struct.pack("<2sIII", b"BM", start + len(rows), 0, start) + fields + rows)
    return path


def packed(depths: tuple[int, int, int], shifts: tuple[int, int, int], dtype: type) -> np.ndarray:
    channels = (np.rint(COLOURS[..., at] / 255 * (2**bits - 1)).astype(dtype) for at, bits in enumerate(depths))
    return sum((channel << dtype(shift) for channel, shift in zip(channels, shifts, strict=True)), dtype(0))


@pytest.mark.parametrize(
    ("depths", "shifts", "coding", "masks"),
    [
        ((5, 5, 5), (10, 5, 0), 0, ()),
        ((5, 6, 5), (11, 5, 0), 3, (0xF800, 0x7E0, 0x1F)),
        ((8, 8, 8), (16, 8, 0), 0, ()),
        ((8, 8, 8), (0, 8, 16), 3, (0xFF, 0xFF00, 0xFF0000)),
        ((10, 10, 10), (20, 10, 0), 3, (0x3FF00000, 0xFFC00, 0x3FF)),
    ],
)
def test_every_mask_reaches_white(
    tmp_path: Path, depths: tuple[int, int, int], shifts: tuple[int, int, int], coding: int, masks: tuple[int, ...]
) -> None:
    dtype = np.uint16 if sum(depths) <= 16 else np.uint32
    image = read_image(bmp(tmp_path / "a.bmp", packed(depths, shifts, dtype), coding, masks))
    assert image.alpha is None
    full = np.iinfo(image.pixels.dtype).max
    np.testing.assert_allclose(image.pixels / full, COLOURS / 255, atol=0.6 / (2 ** min(depths) - 1))


@pytest.mark.parametrize(("alpha", "kept"), [(0, False), (128, True)])
def test_alpha_that_was_never_written_is_none(tmp_path: Path, alpha: int, kept: bool) -> None:
    values = packed((8, 8, 8), (16, 8, 0), np.uint32) | np.uint32(alpha << 24)
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    image = read_image(bmp(tmp_path / "a.bmp", values, 3, masks, header=124))
    assert (image.alpha is not None) == kept
    np.testing.assert_array_equal(image.pixels, COLOURS)


@pytest.mark.parametrize("bits", [1, 4, 8, 24])
def test_files_of_os2_keep_their_colours(tmp_path: Path, bits: int) -> None:
    random = np.random.default_rng(0)
    colours = b"" if bits == 24 else random.bytes(3 * 2**bits)
    fields = struct.pack("<IHHHH", 12, 8, 4, 1, bits) + colours
    rows = random.bytes(4 * -(-8 * bits // 32) * 4)
    head = struct.pack("<2sIII", b"BM", 14 + len(fields) + len(rows), 0, 14 + len(fields))
    (tmp_path / "a.bmp").write_bytes(head + fields + rows)
    with Image.open(tmp_path / "a.bmp") as seen:
        np.testing.assert_array_equal(read_image(tmp_path / "a.bmp").pixels, seen.convert("RGB"))


def test_an_embedded_png_is_refused_as_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(RefusedImage, match="holds BMP compression 5"):
        read_image(bmp(tmp_path / "a.bmp", packed((8, 8, 8), (16, 8, 0), np.uint32), 5))


@pytest.mark.parametrize(("dtype", "red"), [(np.uint16, 0x7E280000), (np.uint32, 0x7FFFFF00), (np.uint32, 0x80000001)])
def test_masks_that_do_not_fit_the_pixels_are_damage(tmp_path: Path, dtype: type, red: int) -> None:
    file = bmp(tmp_path / "a.bmp", packed((5, 6, 5), (11, 5, 0), dtype), 3, (red, 0x7E0, 0x1F))
    with pytest.raises(BrokenImage, match="its colour masks do not fit its pixels"):
        read_image(file)
