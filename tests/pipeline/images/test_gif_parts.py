"""What a GIF file holds besides its image is carried or named."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images import read_image, write_image
from pipeline.images.gif_parts import GifParts, gif_parts
from tests.pipeline.images.samples import photo

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6">' + b"a text longer than a block " * 20 + b"</x:xmpmeta>"
)
TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"


def blocks(data: bytes) -> bytes:
    parts = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


@pytest.fixture
def gif(tmp_path: Path) -> Path:
    """A GIF with a comment behind the colours, XMP, an ICC profile and what no reader knows."""
    path = tmp_path / "a.gif"
    Image.fromarray(photo(12, 16, 3)).quantize(16).save(path)
    data = path.read_bytes()
    behind = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    extensions = b"\x21\xfe" + blocks(b"J\xf6rg") + b"\x21\xff\x0bXMP DataXMP" + XMP + TRAILER
    extensions += b"\x21\xff\x0bICCRGBG1012" + blocks(bytes(300)) + b"\x21\xff\x0bMAKERS  1.0" + blocks(b"abc")
    path.write_bytes(data[:behind] + extensions + data[behind:])
    return path


def test_parts_are_found(gif: Path) -> None:
    assert gif_parts(gif) == GifParts((b"J\xf6rg",), XMP, bytes(300), ("MAKERS  1.0",), (0, 0, 16, 12))


def test_what_an_image_leaves_uncovered_is_transparent(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    Image.fromarray(photo(12, 16, 3)).quantize(16).save(path)
    covered = read_image(path)
    assert covered.alpha is None
    data = path.read_bytes()
    place = data.index(b"\x2c" + struct.pack("<4H", 0, 0, 16, 12))
    moved = data[:6] + struct.pack("<2H", 20, 15) + data[10 : place + 1] + struct.pack("<2H", 3, 2) + data[place + 5 :]
    path.write_bytes(moved)
    image = read_image(path)
    expected = np.zeros((15, 20), np.uint8)
    expected[2:14, 3:19] = 255
    np.testing.assert_array_equal(image.alpha, expected)
    np.testing.assert_array_equal(image.pixels[2:14, 3:19], covered.pixels)


def test_parts_are_carried_or_named(gif: Path, tmp_path: Path) -> None:
    image = read_image(gif)
    assert image.losses[-1] == "the ICC profile is broken and not carried"
    assert image.losses[0] == "the data of MAKERS  1.0 in the file is not carried"
    assert write_image(tmp_path / "b.png", image) == ("comment is not carried into PNG files",)
    written = read_image(tmp_path / "b.png")
    assert written.metadata.xmp == XMP.replace(b'"6"', b'"1"')
    np.testing.assert_array_equal(written.pixels, image.pixels)


@pytest.mark.parametrize("cut", [5, 12, 30, 300, 700])
def test_a_cut_off_file_has_what_is_there(gif: Path, cut: int) -> None:
    gif.write_bytes(gif.read_bytes()[:cut])
    found = gif_parts(gif)
    assert found.comments == ((b"J\xf6rg",) if cut > 100 else ())
    assert found.frame is None
