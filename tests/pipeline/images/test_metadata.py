"""Metadata are carried from file to file, apart from what new pixels make wrong."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from pipeline.images import ImageFile, read_image, write_image
from pipeline.images.reader import read_size
from pipeline.images.xmp import resized
from tests.pipeline.images.samples import BLOB, INT, IPTC, TEXT, photo, png_chunk, saved

ICC = pyvips.Operation.call("profile_load", "p3")
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def tag(path: Path, name: str) -> str | None:
    """Return the value of an EXIF tag as libvips prints it."""
    image = pyvips.Image.new_from_file(str(path))
    return image.get(name).partition(" (")[0] if image.get_typeof(name) else None


def test_orientation_that_only_xmp_holds(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", photo(4, 9, 3), {"xmp-data": (BLOB, XMP)}, keep="xmp")
    image = read_image(source)
    np.testing.assert_array_equal(image.pixels, np.rot90(photo(4, 9, 3), -1))
    write_image(tmp_path / "b.png", image)
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
    image = read_image(camera)
    image = replace(image, metadata=replace(image.metadata, iptc=IPTC))
    first, second = tmp_path / f"b{source}", tmp_path / f"c{target}"
    write_image(first, image)
    upscaled = replace(read_image(first), pixels=photo(20, 40, 3))
    notes = write_image(second, upscaled)

    written = pyvips.Image.new_from_file(str(second))
    assert written.get("icc-profile-data") == ICC
    assert written.get("xmp-data") == XMP.replace(b'"6"', b'"1"')
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


def test_thumbnail_of_the_original_is_dropped(tmp_path: Path) -> None:
    thumbnail = saved(tmp_path / "t.jpg", photo(8, 8, 3), keep="none").read_bytes()
    fields = {"jpeg-thumbnail-data": (BLOB, thumbnail), "orientation": (INT, 1)}
    source = saved(tmp_path / "a.jpg", photo(20, 20, 3), fields)
    assert thumbnail in source.read_bytes()
    write_image(tmp_path / "b.jpg", read_image(source))
    assert thumbnail not in (tmp_path / "b.jpg").read_bytes()


def test_resolution_and_png_texts_survive(tmp_path: Path) -> None:
    source = pyvips.Image.new_from_array(photo(4, 4)).copy(xres=11.811, yres=11.811)
    source.set_type(TEXT, "png-comment-0-Title", "a title")
    source.pngsave(str(tmp_path / "a.png"))
    image = read_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png", image)
    again = pyvips.Image.new_from_file(str(tmp_path / "b.png"))
    assert again.get("png-comment-0-Title") == "a title"
    assert again.xres == pytest.approx(11.811, rel=1e-3)
    assert write_image(tmp_path / "b.jpg", image) == ("PNG text is not carried into JPEG files",)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
def test_the_resolution_is_carried_everywhere_and_72_if_there_is_none(tmp_path: Path, suffix: str) -> None:
    for name, given in (("a", {"dpi": (300, 150)}), ("b", {})):
        Image.fromarray(photo(4, 9, 3)).save(tmp_path / f"{name}{suffix}", **given)
        image = read_image(tmp_path / f"{name}{suffix}")
        for written in (".jpg", ".png", ".tif"):
            write_image(tmp_path / f"c{written}", image)
            with Image.open(tmp_path / f"c{written}") as seen:
                expected = given.get("dpi", (96, 96) if suffix == ".bmp" else (72, 72))
                assert seen.info["dpi"] == pytest.approx(expected, abs=0.1)


def test_no_metadata_is_made_up(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".webp", ".tif", ".avif"):
        write_image(tmp_path / f"a{suffix}", ImageFile(photo(20, 20, 3)))
        metadata = read_image(tmp_path / f"a{suffix}").metadata
        assert [metadata.icc, metadata.exif, metadata.xmp, metadata.iptc, metadata.png_texts] == [None] * 4 + [()]


def test_png_texts_are_kept_as_the_bytes_that_they_are(tmp_path: Path) -> None:
    texts = (
        (b"iTXt", b"Description\0\0\0de\0Titel\0" + "Großmutter 1936 Übung".encode()),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 100_000)),
        (b"tEXt", b"parameters\0" + b"b" * 100_000),
        (b"tEXt", b"Author\0K\xe4the"),
    )
    data = saved(tmp_path / "a.png", photo(40, 40, 3)).read_bytes()
    body = b"".join(png_chunk(*text) for text in texts)
    (tmp_path / "b.png").write_bytes(data[:-12] + body + data[-12:])  # after the pixels, as some programs write them
    image = read_image(tmp_path / "b.png")
    assert image.losses == ()
    assert write_image(tmp_path / "c.png", image) == ()
    assert body in (tmp_path / "c.png").read_bytes()
    np.testing.assert_array_equal(read_image(tmp_path / "c.png").pixels, image.pixels)


def test_png_texts_beyond_reason_are_left_behind(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.png", photo(4, 4)).read_bytes()
    text = png_chunk(b"tEXt", b"big\0" + b"0" * 2**22)
    (tmp_path / "a.png").write_bytes(data[:-12] + text + data[-12:])
    image = read_image(tmp_path / "a.png")
    assert image.losses == ("1 PNG text of more than 4 MiB not carried",)
    assert image.metadata.png_texts == ()


def test_comments_of_a_jpeg_are_kept_or_said(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.jpg", photo(16, 16, 3)).read_bytes()
    comment = "Käthe, 1936".encode("latin-1")
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment + data[2:])
    image = read_image(tmp_path / "a.jpg")
    assert write_image(tmp_path / "b.jpg", image) == ()
    assert read_image(tmp_path / "b.jpg").metadata.comments == (comment,)
    assert write_image(tmp_path / "b.png", image) == ("comment is not carried into PNG files",)


PANORAMA = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:e="http://ns.adobe.com/exif/1.0/" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" tiff:ImageWidth="40"
 tiff:ImageLength='20' e:PixelXDimension="40" GPano:CroppedAreaImageWidthPixels="40" GPano:FullPanoWidthPixels="80"
 GPano:CroppedAreaLeftPixels="11" GPano:PoseHeadingDegrees="12"><e:PixelYDimension>20</e:PixelYDimension>
<GPano:FullPanoHeightPixels>40</GPano:FullPanoHeightPixels><GPano:CroppedAreaTopPixels>7</GPano:CroppedAreaTopPixels>
</rdf:Description></x:xmpmeta>"""
RESIZED = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:e="http://ns.adobe.com/exif/1.0/" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" tiff:ImageWidth="80"
 tiff:ImageLength='40' e:PixelXDimension="80" GPano:CroppedAreaImageWidthPixels="80" GPano:FullPanoWidthPixels="160"
 GPano:CroppedAreaLeftPixels="22" GPano:PoseHeadingDegrees="12"><e:PixelYDimension>40</e:PixelYDimension>
<GPano:FullPanoHeightPixels>80</GPano:FullPanoHeightPixels><GPano:CroppedAreaTopPixels>14</GPano:CroppedAreaTopPixels>
</rdf:Description></x:xmpmeta>"""


def test_sizes_in_xmp_grow_with_the_image(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path / "a.jpg", photo(20, 40, 3), {"xmp-data": (BLOB, PANORAMA)}))
    write_image(tmp_path / "b.jpg", image)
    assert read_image(tmp_path / "b.jpg").metadata.xmp == PANORAMA
    write_image(tmp_path / "c.jpg", replace(image, pixels=photo(40, 80, 3)))
    assert read_image(tmp_path / "c.jpg").metadata.xmp == RESIZED


@pytest.mark.parametrize(
    ("area", "larger"),
    [
        (
            b'<r xmlns:s="http://ns.adobe.com/xap/1.0/sType/Dimensions#" s:w="10" s:h="8.0" s:unit="Pixels"/>',
            b'<r xmlns:s="http://ns.adobe.com/xap/1.0/sType/Dimensions#" s:w="20" s:h="16" s:unit="Pixels"/>',
        ),
        (
            b'<r xmlns:a="http://ns.adobe.com/xmp/sType/Area#" a:x="3" a:y="4" a:w="1" a:h="2" a:unit="pixel"/>',
            b'<r xmlns:a="http://ns.adobe.com/xmp/sType/Area#" a:x="6" a:y="8" a:w="2" a:h="4" a:unit="pixel"/>',
        ),
        (
            b'<r xmlns:I="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" I:rbUnit="pixel"><I:rbX>5</I:rbX></r>',
            b'<r xmlns:I="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" I:rbUnit="pixel"><I:rbX>10</I:rbX></r>',
        ),
        (
            b'<r xmlns:G="http://ns.google.com/photos/1.0/panorama/" G:LargestValidInteriorRectTop="7"/>',
            b'<r xmlns:G="http://ns.google.com/photos/1.0/panorama/" G:LargestValidInteriorRectTop="14"/>',
        ),
    ],
)
def test_regions_in_pixels_grow_with_the_image(area: bytes, larger: bytes) -> None:
    assert resized(area, (10, 8), (20, 16)) == larger


def test_regions_in_fractions_stay_as_they_are() -> None:
    area = b'<r xmlns:a="http://ns.adobe.com/xmp/sType/Area#" a:x="0" a:y="1" a:unit="normalized"/>'
    assert resized(area, (10, 8), (20, 16)) == area


@pytest.mark.parametrize("compressed", [False, True])
def test_exif_and_xmp_behind_the_pixels_of_a_png_are_kept(tmp_path: Path, compressed: bool) -> None:
    turned = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x112, 3, 1, 6) + bytes(4)
    text = b"\1\0\0\0" + zlib.compress(XMP) if compressed else b"\0\0\0\0" + XMP
    late = png_chunk(b"eXIf", turned) + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0" + text)
    data = saved(tmp_path / "a.png", photo(4, 9, 3), keep="none").read_bytes()
    (tmp_path / "a.png").write_bytes(data[:-12] + late + data[-12:])
    assert read_size(tmp_path / "a.png") == (4, 9)
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, np.rot90(photo(4, 9, 3), -1))
    write_image(tmp_path / "b.png", image)
    written = read_image(tmp_path / "b.png").metadata
    assert written.xmp == XMP.replace(b'"6"', b'"1"')
    assert written.exif is not None


def test_lossless_webp_stays_lossless(tmp_path: Path) -> None:
    pixels = photo(32, 32, 3)
    image = read_image(saved(tmp_path / "a.webp", pixels, lossless=True))
    write_image(tmp_path / "b.webp", image)
    np.testing.assert_array_equal(read_image(tmp_path / "b.webp").pixels, pixels)
    assert not read_image(saved(tmp_path / "c.webp", pixels)).lossless
