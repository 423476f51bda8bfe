"""Files are identified by their content, and refused with a reason in one line."""

import struct
import zlib
from pathlib import Path

import cv2
import pytest

from pipeline.errors import BrokenImage, ImageError, RefusedImage
from pipeline.images import PIXEL_LIMIT, read_image
from tests.pipeline.images.samples import photo, png_chunk, saved


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", BrokenImage, "is empty"),
        (b"<html>no such page</html>", BrokenImage, "begins with b'<html>no such"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), BrokenImage, "is cut off"),
        (b"P6 nonsense", BrokenImage, "damaged PNM header"),
        (b"\0\0\1\0\1\0" + bytes(40), RefusedImage, "Windows icon"),
        (bytes(1000), BrokenImage, "nothing but zeros"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI" + bytes(40), RefusedImage, "PNG for iPhones"),
        (b"\0\0\0\x1cftypheic" + bytes(40), RefusedImage, "HEIC"),
        (b"\0\0\0\x1cftypavis" + bytes(40), RefusedImage, "animated AVIF"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(
    tmp_path: Path, content: bytes, error: type[ImageError], words: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(error) as caught:
        read_image(tmp_path / "a.jpg")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_apng_is_refused_and_its_first_frame_not_taken_for_it(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.png", photo(4, 4, 3)).read_bytes()
    after_header = 8 + 25
    animated = data[:after_header] + png_chunk(b"acTL", struct.pack(">II", 2, 0)) + data[after_header:]
    (tmp_path / "b.png").write_bytes(animated)
    with pytest.raises(RefusedImage, match="animated PNG"):
        read_image(tmp_path / "b.png")


def test_second_image_of_a_jpeg_is_noted(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.jpg", photo(8, 8, 3)).read_bytes()
    segment = b"MPF\0" + b"\0" * 20
    (tmp_path / "b.jpg").write_bytes(data[:2] + struct.pack(">HH", 0xFFE2, len(segment) + 2) + segment + data[2:])
    assert read_image(tmp_path / "a.jpg").losses == ()
    (note,) = read_image(tmp_path / "b.jpg").losses
    assert "second image" in note


def test_decompression_bombs_are_refused_by_their_header(tmp_path: Path) -> None:
    side = 60_000
    assert side * side > PIXEL_LIMIT
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + png_chunk(b"IEND", b""))
    (tmp_path / "b.ppm").write_bytes(b"P6 60000 60000 255\n" + bytes(100))
    bmp = bytearray(cv2.imencode(".bmp", photo(4, 4, 3))[1].tobytes())
    struct.pack_into("<ii", bmp, 18, side, -side)
    (tmp_path / "c.bmp").write_bytes(bmp)
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(RefusedImage, match="60000 x 60000 = 3600 megapixels"):
            read_image(path)


def test_the_limit_of_pixels_can_be_moved(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", photo(10, 20, 3))
    assert read_image(path, max_pixels=200).pixels.shape == (10, 20, 3)
    with pytest.raises(RefusedImage, match=r"allow more \(max_pixels: 200\)"):
        read_image(path, max_pixels=199)
