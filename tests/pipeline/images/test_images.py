"""Image files <-> pixels: what is promised to survive, and what is refused in one line."""

import errno
import os
import struct
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import pyvips

from pipeline.errors import BrokenImage, ImageError, RefusedImage
from pipeline.images import (
    PIXEL_LIMIT,
    READABLE,
    WRITABLE,
    ImageFile,
    check_target,
    read_image,
    write_image,
)

ODD = Path(__file__).parents[3] / ".." / "shared" / "data" / "odd"
LOSSLESS = [".png", ".tif"]
BLOB, INT, TEXT = pyvips.GValue.blob_type, pyvips.GValue.gint_type, pyvips.GValue.gstr_type
ICC = pyvips.Operation.call("profile_load", "p3")
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
IPTC = b"\x1c\x02\x05\x00\x05title\x1c\x02\x69\x00\x08headline"


def photo(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    """Make smooth pixels that are different at every place and in every channel."""
    height, width, *bands = shape
    rows, columns = np.mgrid[:height, :width]
    planes = [(rows * (3 + band) + columns * (5 - band)) % 200 / 255 for band in range(*bands or (1,))]
    pixels = np.stack(planes, axis=-1).reshape(shape)
    return pixels.astype(dtype) if dtype is np.float32 else np.rint(pixels * np.iinfo(dtype).max).astype(dtype)


def saved(
    path: Path, pixels: np.ndarray, fields: Mapping[str, tuple[int, object]] | None = None, **options: object
) -> Path:
    """Write pixels by libvips itself, with raw header fields."""
    image = pyvips.Image.new_from_array(pixels).copy()
    if pixels.dtype == np.uint16:
        image = image.copy(interpretation="rgb16" if image.bands > 2 else "grey16")
    for name, (kind, value) in (fields or {}).items():
        image.set_type(kind, name, value)
    image.write_to_file(str(path), **options)
    return path


def tag(path: Path, name: str) -> str | None:
    """Return the value of an EXIF tag as libvips prints it."""
    image = pyvips.Image.new_from_file(str(path))
    return image.get(name).partition(" (")[0] if image.get_typeof(name) else None


def as_lab(path: Path) -> None:
    """Make an RGB TIFF into a Lab one: libvips itself writes no 8-bit Lab."""
    data = bytearray(path.read_bytes())
    entry = data.index(struct.pack("<HHIH", 262, 3, 1, 2))
    struct.pack_into("<H", data, entry + 8, 8)
    path.write_bytes(data)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(7, 11, 3), (7, 11), (1, 1)])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_lossless_formats_return_what_was_written(
    tmp_path: Path, suffix: str, dtype: type, shape: tuple[int, ...], with_alpha: bool
) -> None:
    alpha = photo(*shape[:2], dtype=dtype) if with_alpha else None
    written = ImageFile(photo(*shape, dtype=dtype), alpha)
    assert write_image(tmp_path / f"a{suffix}", written) == ()
    read = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read.pixels, written.pixels, strict=True)
    assert (read.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(read.alpha, alpha, strict=True)


@pytest.mark.parametrize("suffix", sorted(WRITABLE))
def test_every_writable_format_is_close_and_readable(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix.upper()}"
    y, x = np.mgrid[:40, :60]
    pixels = np.stack([4 * x, 6 * y, 2 * x + 3 * y], axis=-1).astype(np.uint8)
    write_image(path, ImageFile(pixels))
    assert np.abs(read_image(path).pixels.astype(int) - pixels).mean() < 1.5
    assert suffix in READABLE


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

    picture = read_image(source)
    assert picture.pixels.shape == expected.shape
    assert np.abs(picture.pixels.astype(int) - expected).mean() < 3
    write_image(tmp_path / f"b{suffix}", picture)
    again = read_image(tmp_path / f"b{suffix}")
    assert again.pixels.shape == expected.shape
    assert pyvips.Image.new_from_file(str(tmp_path / f"b{suffix}")).get("orientation") == 1


def test_orientation_that_only_xmp_tells(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", photo(4, 9, 3), {"xmp-data": (BLOB, XMP)}, keep="xmp")
    picture = read_image(source)
    np.testing.assert_array_equal(picture.pixels, np.rot90(photo(4, 9, 3), -1))
    write_image(tmp_path / "b.png", picture)
    assert read_image(tmp_path / "b.png").pixels.shape == (9, 4, 3)


@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("source", [".jpg", ".tif"])
def test_metadata_travels(tmp_path: Path, source: str, target: str) -> None:
    fields: dict[str, tuple[int, object]] = {
        "icc-profile-data": (BLOB, ICC),
        "xmp-data": (BLOB, XMP),
        "exif-ifd0-ImageWidth": (TEXT, "20"),
        "exif-ifd0-Artist": (TEXT, "Kaethe"),
        "exif-ifd2-DateTimeOriginal": (TEXT, "2020:01:02 03:04:05"),
        "exif-ifd2-ExposureTime": (TEXT, "1/250"),
        "exif-ifd3-GPSLatitude": (TEXT, "47/1 22/1 27/2"),
        "orientation": (INT, 1),
    }
    camera = saved(tmp_path / "a.jpg", photo(10, 20, 3), fields)
    camera.write_bytes(camera.read_bytes().replace(b"Kaethe", "Käthe".encode()))  # libvips writes ASCII only
    picture = read_image(camera)
    picture = replace(picture, metadata=replace(picture.metadata, iptc=IPTC))
    first, second = tmp_path / f"b{source}", tmp_path / f"c{target}"
    write_image(first, picture)
    enlarged = replace(read_image(first), pixels=photo(20, 40, 3))
    notes = write_image(second, enlarged)

    image = pyvips.Image.new_from_file(str(second))
    assert image.get("icc-profile-data") == ICC
    assert image.get("xmp-data") == XMP.replace(b'"6"', b'"1"')
    iptc = read_image(second).metadata.iptc
    assert iptc == IPTC if target in (".jpg", ".tif") else notes == (f"IPTC is not carried into {_name(target)} files",)
    write_image(tmp_path / "d.jpg", read_image(second))  # libvips itself reads no EXIF of a TIFF
    assert tag(tmp_path / "d.jpg", "exif-ifd0-Artist") == "Käthe"
    assert tag(tmp_path / "d.jpg", "exif-ifd2-DateTimeOriginal") == "2020:01:02 03:04:05"
    assert tag(tmp_path / "d.jpg", "exif-ifd2-ExposureTime") == "1/250"
    assert tag(tmp_path / "d.jpg", "exif-ifd3-GPSLatitude") == "47/1 22/1 27/2"
    assert tag(tmp_path / "d.jpg", "exif-ifd2-PixelXDimension") == "40"
    assert tag(tmp_path / "d.jpg", "exif-ifd0-ImageWidth") in ("40", None)


def _name(suffix: str) -> str:
    return {".png": "PNG", ".webp": "WebP", ".avif": "AVIF"}[suffix]


def test_thumbnail_of_the_old_picture_is_dropped(tmp_path: Path) -> None:
    thumbnail = saved(tmp_path / "t.jpg", photo(8, 8, 3), keep="none").read_bytes()
    fields = {"jpeg-thumbnail-data": (BLOB, thumbnail), "orientation": (INT, 1)}
    source = saved(tmp_path / "a.jpg", photo(20, 20, 3), fields)
    assert thumbnail in source.read_bytes()
    write_image(tmp_path / "b.jpg", read_image(source))
    assert thumbnail not in (tmp_path / "b.jpg").read_bytes()


def test_resolution_and_png_texts_survive(tmp_path: Path) -> None:
    image = pyvips.Image.new_from_array(photo(4, 4)).copy(xres=11.811, yres=11.811)
    image.set_type(TEXT, "png-comment-0-Title", "a title")
    image.pngsave(str(tmp_path / "a.png"))
    picture = read_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png", picture)
    again = pyvips.Image.new_from_file(str(tmp_path / "b.png"))
    assert again.get("png-comment-0-Title") == "a title"
    assert again.xres == pytest.approx(11.811, rel=1e-3)
    assert write_image(tmp_path / "b.jpg", picture) == ("PNG text is not carried into JPEG files",)


def test_no_metadata_is_made_up(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".webp", ".tif", ".avif"):
        write_image(tmp_path / f"a{suffix}", ImageFile(photo(20, 20, 3)))
        metadata = read_image(tmp_path / f"a{suffix}").metadata
        assert [metadata.icc, metadata.exif, metadata.xmp, metadata.iptc, metadata.png_texts] == [None] * 4 + [{}]


def test_palettes_and_single_bits_become_8_bit(tmp_path: Path) -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 8, 3, 0, 0, 0))
    palette = png_chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255])) + png_chunk(b"tRNS", bytes([0, 128]))
    body = png_chunk(b"IDAT", zlib.compress(bytes([0, 0, 1, 2]))) + png_chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + palette + body)
    picture = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])
    np.testing.assert_array_equal(picture.alpha, [[0, 128, 255]])
    bits = (photo(16, 16) > 90).astype(np.uint8) * 255
    gray = read_image(saved(tmp_path / "b.png", bits, bitdepth=1))
    np.testing.assert_array_equal(gray.pixels, bits, strict=True)


def test_cmyk_and_lab_are_converted_with_a_note(tmp_path: Path) -> None:
    cmyk = pyvips.Image.new_from_array(photo(16, 16, 4)).copy(interpretation="cmyk")
    cmyk.jpegsave(str(tmp_path / "a.jpg"))
    lab = np.zeros((16, 16, 3), np.uint8) + np.array([128, 0, 256 - 40], np.uint8)
    as_lab(saved(tmp_path / "b.tif", lab, compression="deflate"))
    picture = read_image(tmp_path / "a.jpg")
    assert picture.pixels.shape == (16, 16, 3)
    assert picture.notes == ("CMYK converted to sRGB",)
    blue = read_image(tmp_path / "b.tif")
    assert blue.notes == ("Lab converted to sRGB",)
    np.testing.assert_allclose(blue.pixels[0, 0], [78, 122, 188], atol=1)  # by the formulas of CIE and sRGB


@pytest.mark.parametrize("maximum", [1, 100, 255, 1023, 65535])
def test_pnm_is_stretched_to_the_full_range(tmp_path: Path, maximum: int) -> None:
    values = np.array([0, maximum // 4, maximum])
    data = values.astype(">u2" if maximum > 255 else "u1").tobytes()
    (tmp_path / "a.pgm").write_bytes(f"P5\n# a comment\n3 1 {maximum}\n".encode() + data)
    pixels = read_image(tmp_path / "a.pgm").pixels
    full = np.iinfo(pixels.dtype).max
    np.testing.assert_array_equal(pixels, [np.rint(values / maximum * full)])


def test_bmp_is_read_with_its_alpha(tmp_path: Path) -> None:
    pixels = photo(5, 7, 4)
    cv2.imwrite(str(tmp_path / "a.bmp"), cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA))
    picture = read_image(tmp_path / "a.bmp")
    np.testing.assert_array_equal(picture.pixels, pixels[..., :3])
    np.testing.assert_array_equal(picture.alpha, pixels[..., 3])


def test_floats_stay_floats_within_0_and_1_and_are_refused_beyond(tmp_path: Path) -> None:
    picture = ImageFile(photo(6, 8, 3, dtype=np.float32), photo(6, 8, dtype=np.float32))
    write_image(tmp_path / "a.tif", picture)
    again = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(again.pixels, picture.pixels, strict=True)
    np.testing.assert_array_equal(again.alpha, picture.alpha, strict=True)
    cv2.imwrite(str(tmp_path / "b.pfm"), np.array([[0.0, 7.5]], np.float32))
    with pytest.raises(RefusedImage, match=r"floats from 0 to 7.5, expected 0 to 1"):
        read_image(tmp_path / "b.pfm")
    cv2.imwrite(str(tmp_path / "c.pfm"), np.array([[0.0, np.nan]], np.float32))
    with pytest.raises(RefusedImage, match="nan"):
        read_image(tmp_path / "c.pfm")


@pytest.mark.parametrize(("suffix", "bits"), [(".jpg", 8), (".webp", 8), (".avif", 12)])
def test_fewer_bits_are_rounded_to_and_told(tmp_path: Path, suffix: str, bits: int) -> None:
    picture = ImageFile(np.full((16, 16, 3), 100 * 257 + 200, np.uint16))
    (note,) = write_image(tmp_path / f"a{suffix}", picture)
    assert note.startswith(f"16 bit reduced to {bits} bit")
    pixels = read_image(tmp_path / f"a{suffix}").pixels
    assert abs(pixels.mean() * (257 if bits == 8 else 1) - 101 * 257) < 260


def test_alpha_and_jpeg(tmp_path: Path) -> None:
    pixels = photo(8, 8, 3)
    write_image(tmp_path / "a.jpg", ImageFile(pixels, np.full((8, 8), 255, np.uint8)))  # hides nothing
    with pytest.raises(RefusedImage, match=r"JPEG cannot hold, expected \.png, \.webp.*--ext png"):
        write_image(tmp_path / "b.jpg", ImageFile(pixels, photo(8, 8)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize(("suffix", "longest"), [(".jpg", 65_500), (".webp", 16_383), (".avif", 16_384)])
def test_size_limit_of_the_format_is_told_before_the_work(tmp_path: Path, suffix: str, longest: int) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, ImageFile(np.zeros((64, longest), np.uint8)))
    with pytest.raises(RefusedImage, match=f"holds at most {longest} a side; use --ext png"):
        check_target(path, ImageFile(np.zeros((1, longest // 2 + 1), np.uint8)), scale=2)
    check_target(path.with_suffix(".png"), ImageFile(np.zeros((1, longest), np.uint8)), scale=4)


def test_unknown_suffix_lists_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(RefusedImage, match=r"'.bmp' cannot be written, expected one of .avif, "):
        write_image(tmp_path / "a.bmp", ImageFile(photo(4, 4)))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".tif"])
def test_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = np.concatenate([photo(16, 16, 3), 255 - photo(16, 16, 3)])
    path = saved(tmp_path / f"a{suffix}", frames, {"page-height": (INT, 16)})
    with pytest.raises(RefusedImage, match=r"2 (frames|pictures), expected a still picture"):
        read_image(path)


def test_apng_is_refused_and_its_first_frame_not_taken_for_it(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.png", photo(4, 4, 3)).read_bytes()
    after_header = 8 + 25
    animated = data[:after_header] + png_chunk(b"acTL", struct.pack(">II", 2, 0)) + data[after_header:]
    (tmp_path / "b.png").write_bytes(animated)
    with pytest.raises(RefusedImage, match="animated PNG"):
        read_image(tmp_path / "b.png")


def test_second_picture_of_a_jpeg_is_told(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.jpg", photo(8, 8, 3)).read_bytes()
    segment = b"MPF\0" + b"\0" * 20
    (tmp_path / "b.jpg").write_bytes(data[:2] + struct.pack(">HH", 0xFFE2, len(segment) + 2) + segment + data[2:])
    assert read_image(tmp_path / "a.jpg").notes == ()
    (note,) = read_image(tmp_path / "b.jpg").notes
    assert "second picture" in note


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


def test_long_png_texts_are_left_behind(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", photo(4, 4), {"png-comment-0-big": (TEXT, "0" * 100_000)}, keep="other")
    picture = read_image(source)
    assert picture.notes == ("a PNG text of 100000 characters is not carried",)
    assert picture.metadata.png_texts == {}


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


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", BrokenImage, "is empty"),
        (b"<html>no such page</html>", BrokenImage, "begins with b'<html>no such"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), BrokenImage, "is damaged"),
        (b"P6 nonsense", BrokenImage, "damaged PNM header"),
        (b"\0\0\1\0\1\0" + bytes(40), RefusedImage, "Windows icon"),
        (b"\0\0\0\x1cftypheic" + bytes(40), RefusedImage, "HEIC"),
        (b"\0\0\0\x1cftypavis" + bytes(40), RefusedImage, "animated AVIF"),
    ],
)
def test_what_is_no_picture_is_told_in_one_line(
    tmp_path: Path, content: bytes, error: type[ImageError], words: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(error) as caught:
        read_image(tmp_path / "a.jpg")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_broken(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(BrokenImage, match="not a file"):
            read_image(path)
    with pytest.raises(BrokenImage, match="cannot be written"):
        write_image(tmp_path / "none" / "a.png", ImageFile(photo(4, 4)))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, ImageFile(photo(4, 4)))
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        assert (tmp_path / f".a{suffix}.writing{suffix}").stat().st_size > 0
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(BrokenImage, match="Input/output error"):
        write_image(path, ImageFile(photo(9, 9)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    for value in (1, 2):
        write_image(tmp_path / "a.png", ImageFile(np.full((4, 4), value, np.uint8)))
        assert read_image(tmp_path / "a.png").pixels[0, 0] == value


def test_file_names_are_taken_literally(tmp_path: Path) -> None:
    for name in ("a[page=1].png", "ä ö.png", os.fsdecode(b"\xff.png")):
        write_image(tmp_path / name, ImageFile(photo(4, 4)))
        assert read_image(tmp_path / name).pixels.shape == (4, 4)


def test_many_threads_at_once(tmp_path: Path) -> None:
    def there_and_back(number: int) -> bool:
        path = tmp_path / f"{number}.png"
        pixels = np.full((40, 50, 3), number, np.uint8)
        write_image(path, ImageFile(pixels))
        return bool((read_image(path).pixels == pixels).all())

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(there_and_back, range(40)))


@pytest.mark.parametrize("name", sorted(path.name for path in ODD.iterdir()) if ODD.is_dir() else ["absent"])
def test_odd_files_end_restored_or_told_in_one_line(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if not ODD.is_dir():
        pytest.skip("needs ../shared/data/odd")
    told = ""
    try:
        picture = read_image(ODD / name)
        for suffix in {".png", Path(name).suffix} & WRITABLE:
            write_image(tmp_path / f"a{suffix}", picture)
            assert read_image(tmp_path / f"a{suffix}").pixels.shape[:2] == picture.pixels.shape[:2]
    except ImageError as error:
        told = str(error)
    assert len(told) < 200
    assert "\n" not in told
    assert capfd.readouterr().err == ""
