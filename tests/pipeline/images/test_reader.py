"""Images are read as they are displayed, and damaged files are refused."""

import os
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import pyvips

from pipeline.errors import BrokenImage, ImageError, RefusedImage
from pipeline.images import WRITABLE, ImageFile, read_image, write_image
from tests.pipeline.images.samples import INT, photo, png_chunk, saved

ODD = Path(__file__).parents[3] / ".." / "shared" / "data" / "odd"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png", ".tif"])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, suffix: str) -> None:
    pixels = np.repeat(np.repeat(np.array([[10, 200], [60, 120], [250, 0]], np.uint8), 16, 0), 16, 1)
    pixels = np.stack([pixels] * 3, axis=-1)
    fields = {"orientation": (INT, orientation)}
    source = saved(tmp_path / f"a{suffix}", pixels, fields)
    upright = pyvips.Image.new_from_array(pixels).copy()
    upright.set_type(INT, "orientation", orientation)
    expected = upright.autorot().numpy()

    image = read_image(source)
    assert image.pixels.shape == expected.shape
    assert np.abs(image.pixels.astype(int) - expected).mean() < 3
    write_image(tmp_path / f"b{suffix}", image)
    again = read_image(tmp_path / f"b{suffix}")
    assert again.pixels.shape == expected.shape
    assert pyvips.Image.new_from_file(str(tmp_path / f"b{suffix}")).get("orientation") == 1


def test_palettes_and_single_bits_become_8_bit(tmp_path: Path) -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 8, 3, 0, 0, 0))
    palette = png_chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255])) + png_chunk(b"tRNS", bytes([0, 128]))
    body = png_chunk(b"IDAT", zlib.compress(bytes([0, 0, 1, 2]))) + png_chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + palette + body)
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])
    np.testing.assert_array_equal(image.alpha, [[0, 128, 255]])
    bits = (photo(16, 16) > 90).astype(np.uint8) * 255
    gray = read_image(saved(tmp_path / "b.png", bits, bitdepth=1))
    np.testing.assert_array_equal(gray.pixels, bits, strict=True)


def test_cmyk_is_converted_with_a_note(tmp_path: Path) -> None:
    cmyk = pyvips.Image.new_from_array(photo(16, 16, 4)).copy(interpretation="cmyk")
    cmyk.jpegsave(str(tmp_path / "a.jpg"))
    image = read_image(tmp_path / "a.jpg")
    assert image.pixels.shape == (16, 16, 3)
    assert image.notes == ("CMYK converted to sRGB",)


@pytest.mark.parametrize("maximum", [1, 100, 255, 1023, 65535])
def test_pnm_is_stretched_to_the_full_range(tmp_path: Path, maximum: int) -> None:
    values = np.array([0, maximum // 4, maximum])
    data = values.astype(">u2" if maximum > 255 else "u1").tobytes()
    (tmp_path / "a.pgm").write_bytes(f"P5\n# a comment\n3 1 {maximum}\n".encode() + data)
    pixels = read_image(tmp_path / "a.pgm").pixels
    full = np.iinfo(pixels.dtype).max
    np.testing.assert_array_equal(pixels, [np.rint(values / maximum * full)])


@pytest.mark.parametrize("text", [b"P2\n2 1\n15\n0 15", b"P1\n2 1\n1 0"])
def test_a_number_that_ends_with_the_file_is_read(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.pgm").write_bytes(text)
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm").pixels, [[0, 255]])


@pytest.mark.parametrize("scale", ["255.0", "-0.5"])
def test_a_scale_that_readers_differ_on_is_refused(tmp_path: Path, scale: str) -> None:
    (tmp_path / "a.pfm").write_bytes(f"Pf\n2 1\n{scale}\n".encode() + bytes(8))
    with pytest.raises(RefusedImage, match="holds a scale of"):
        read_image(tmp_path / "a.pfm")


def jpeg_2000(path: Path, pix_fmt: str, values: np.ndarray) -> Path:
    """Write planes of 32 x 32 equal values by libav, whose encoder knows all depths."""
    encoder = av.CodecContext.create("jpeg2000", "w")
    encoder.options = {"format": path.suffix[1:], "pred": "1"}
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 32, 32, pix_fmt, Fraction(1, 25)
    frame = av.VideoFrame(32, 32, pix_fmt)
    for plane, value in zip(frame.planes, values, strict=True):
        plane.update(np.full(plane.buffer_size // value.itemsize, value).tobytes())
    path.write_bytes(b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None))))
    return path


@pytest.mark.parametrize("suffix", [".jp2", ".j2k"])
@pytest.mark.parametrize("bits", [10, 12])
def test_jpeg_2000_of_other_depths_reaches_white(tmp_path: Path, bits: int, suffix: str) -> None:
    values = np.array([2**bits - 1], np.uint16)
    pixels = read_image(jpeg_2000(tmp_path / f"a{suffix}", f"gray{bits}le", values)).pixels
    assert pixels.min() == 65535


def test_jpeg_2000_with_alpha_beside_gray_is_refused_as_what_it_is(tmp_path: Path) -> None:
    path = jpeg_2000(tmp_path / "a.jp2", "ya8", np.array([77], np.uint8))
    with pytest.raises(RefusedImage, match="holds 2 channels of 8 bits"):
        read_image(path)


def test_bmp_is_read_with_its_alpha(tmp_path: Path) -> None:
    pixels = photo(5, 7, 4)
    cv2.imwrite(str(tmp_path / "a.bmp"), cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA))
    image = read_image(tmp_path / "a.bmp")
    np.testing.assert_array_equal(image.pixels, pixels[..., :3])
    np.testing.assert_array_equal(image.alpha, pixels[..., 3])


def test_floats_stay_floats_within_0_and_1_and_are_refused_beyond(tmp_path: Path) -> None:
    image = ImageFile(photo(6, 8, 3, dtype=np.float32), photo(6, 8, dtype=np.float32))
    write_image(tmp_path / "a.tif", image)
    again = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(again.pixels, image.pixels, strict=True)
    np.testing.assert_array_equal(again.alpha, image.alpha, strict=True)
    cv2.imwrite(str(tmp_path / "b.pfm"), np.array([[0.0, 7.5]], np.float32))
    with pytest.raises(RefusedImage, match=r"floats from 0 to 7.5, expected 0 to 1"):
        read_image(tmp_path / "b.pfm")
    cv2.imwrite(str(tmp_path / "c.pfm"), np.array([[0.0, np.nan]], np.float32))
    with pytest.raises(RefusedImage, match=r"floats that are no numbers"):
        read_image(tmp_path / "c.pfm")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".tif"])
def test_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = np.concatenate([photo(16, 16, 3), 255 - photo(16, 16, 3)])
    path = saved(tmp_path / f"a{suffix}", frames, {"page-height": (INT, 16)})
    with pytest.raises(RefusedImage, match=r"2 (frames|images), expected a still image"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif", ".gif", ".bmp", ".ppm"])
def test_cut_off_files_are_broken_never_half_gray(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix in WRITABLE:
        write_image(path, ImageFile(photo(60, 80, 3)))
    elif suffix == ".gif":
        saved(path, photo(60, 80, 3))
    else:
        cv2.imwrite(str(path), photo(60, 80, 3))
    data = path.read_bytes()
    for part in (0.02, 0.3, 0.6, 0.9):
        path.write_bytes(data[: int(part * len(data))])
        with pytest.raises(BrokenImage) as caught:
            read_image(path)
        assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_broken(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(BrokenImage, match="not a file"):
            read_image(path)
    with pytest.raises(BrokenImage, match="cannot be written"):
        write_image(tmp_path / "none" / "a.png", ImageFile(photo(4, 4)))


def test_file_names_are_taken_literally(tmp_path: Path) -> None:
    for name in ("a[page=1].png", "ä ö.png", os.fsdecode(b"\xff.png")):
        write_image(tmp_path / name, ImageFile(photo(4, 4)))
        assert read_image(tmp_path / name).pixels.shape == (4, 4)


@pytest.mark.parametrize("name", sorted(path.name for path in ODD.iterdir()) if ODD.is_dir() else ["absent"])
def test_odd_files_are_read_or_refused_in_one_line(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if not ODD.is_dir():
        pytest.skip("needs ../shared/data/odd")
    message = ""
    try:
        image = read_image(ODD / name)
        for suffix in {".png", Path(name).suffix} & WRITABLE:
            write_image(tmp_path / f"a{suffix}", image)
            assert read_image(tmp_path / f"a{suffix}").pixels.shape[:2] == image.pixels.shape[:2]
    except ImageError as error:
        message = str(error)
    assert len(message) < 200
    assert "\n" not in message
    assert capfd.readouterr().err == ""


def test_a_jpeg_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.jpg", photo(64, 64, 3)).read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) * 3 // 4] + b"\xff\xd9")
    with pytest.raises(BrokenImage, match="premature end"):
        read_image(tmp_path / "b.jpg")
    (tmp_path / "c.jpg").write_bytes(whole[:-2] + b"\x12\x34" + whole[-2:])
    np.testing.assert_array_equal(read_image(tmp_path / "c.jpg").pixels, read_image(tmp_path / "a.jpg").pixels)
