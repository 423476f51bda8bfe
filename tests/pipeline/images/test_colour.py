"""Colours that a file defines without an ICC profile are carried as one, HDR is refused."""

import struct
from collections.abc import Mapping
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.errors import RefusedImage
from pipeline.images import ImageFile, read_image, write_image
from pipeline.images.icc import SRGB_PRIMARIES, display_profile, usable_profile
from pipeline.images.metadata import Metadata
from tests.pipeline.images.samples import BLOB, photo, png_chunk, saved

P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290)
ICC = pyvips.Operation.call("profile_load", "p3")


def png(path: Path, chunks: Mapping[bytes, bytes], *shape: int) -> Path:
    """Write a PNG file with further chunks after its header."""
    cv2.imwrite(str(path), photo(*shape or (6, 8, 3)))
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(png_chunk(*chunk) for chunk in chunks.items()) + data[33:])
    return path


def chromaticities(primaries: tuple[float, ...]) -> bytes:
    return struct.pack(">8I", *(round(100_000 * value) for value in (*primaries[6:], *primaries[:6])))


def shown(image: ImageFile, colour: tuple[int, int, int]) -> np.ndarray:
    """Return what a viewer with an sRGB display shows of one colour."""
    pixel = pyvips.Image.new_from_array(np.array([[colour]], np.uint8)).copy()
    pixel.set_type(BLOB, "icc-profile-data", image.metadata.icc)
    return pixel.icc_transform("srgb", embedded=True).numpy().ravel()


def test_a_built_profile_shows_what_the_published_one_does() -> None:
    colour = (200, 100, 50)
    built = ImageFile(photo(4, 4), metadata=Metadata(icc=display_profile(P3, None, gray=False)))
    published = ImageFile(photo(4, 4), metadata=Metadata(icc=ICC))
    np.testing.assert_allclose(shown(built, colour), shown(published, colour), atol=1)
    srgb = ImageFile(photo(4, 4), metadata=Metadata(icc=display_profile(SRGB_PRIMARIES, None, gray=False)))
    np.testing.assert_allclose(shown(srgb, colour), colour, atol=1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize(
    ("chunks", "source"),
    [
        ({b"gAMA": struct.pack(">I", 100_000)}, "gAMA"),
        ({b"cHRM": chromaticities(P3)}, "cHRM"),
        ({b"gAMA": struct.pack(">I", 45_455), b"cHRM": chromaticities(P3)}, "gAMA and cHRM"),
        ({b"cICP": bytes([12, 13, 0, 1])}, "cICP"),
        ({b"cICP": bytes([9, 1, 0, 1])}, "cICP"),
    ],
)
def test_colour_chunks_become_a_profile(tmp_path: Path, chunks: dict[bytes, bytes], source: str, suffix: str) -> None:
    image = read_image(png(tmp_path / "a.png", chunks))
    assert image.notes == (f"the colour space ({source}) is carried as an ICC profile",)
    assert write_image(tmp_path / f"b{suffix}", image) == ()
    assert read_image(tmp_path / f"b{suffix}").metadata.icc == image.metadata.icc


def test_linear_gamma_is_shown_brighter_in_gray_too(tmp_path: Path) -> None:
    image = read_image(png(tmp_path / "a.png", {b"gAMA": struct.pack(">I", 100_000)}))
    np.testing.assert_allclose(shown(image, (55, 55, 55)), 128, atol=2)
    gray = read_image(png(tmp_path / "b.png", {b"gAMA": struct.pack(">I", 100_000)}, 6, 8))
    assert gray.pixels.ndim == 2
    assert write_image(tmp_path / "c.png", gray) == ()
    assert read_image(tmp_path / "c.png").metadata.icc == gray.metadata.icc


@pytest.mark.parametrize(
    "chunks",
    [
        {b"sRGB": b"\0", b"gAMA": struct.pack(">I", 45_455)},
        {b"gAMA": struct.pack(">I", 45_455), b"cHRM": chromaticities(SRGB_PRIMARIES)},
        {b"cICP": bytes([1, 13, 0, 1])},
    ],
)
def test_srgb_needs_no_profile(tmp_path: Path, chunks: dict[bytes, bytes]) -> None:
    image = read_image(png(tmp_path / "a.png", chunks))
    assert (image.metadata.icc, image.notes) == (None, ())


def test_damaged_chromaticities_are_said(tmp_path: Path) -> None:
    image = read_image(png(tmp_path / "a.png", {b"cHRM": bytes(32)}))
    assert image.metadata.icc is None
    assert image.losses == ("the colour space (cHRM) is not carried: a chromaticity is not positive",)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused(tmp_path: Path, transfer: int, name: str) -> None:
    with pytest.raises(RefusedImage, match=rf"is HDR \({name}, cICP\)"):
        read_image(png(tmp_path / "a.png", {b"cICP": bytes([9, transfer, 0, 1])}))
    with pytest.raises(RefusedImage, match=rf"is HDR \({name}, nclx\)"):
        read_image(avif(tmp_path / "a.avif", 9, transfer))


def avif(path: Path, primaries: int, transfer: int) -> Path:
    """Write an AVIF file and put code points into its colour box in place of the profile."""
    saved(path, photo(16, 16, 3), {"icc-profile-data": (BLOB, ICC)}, keep="icc")
    head, box, tail = path.read_bytes().partition(b"colrrICC")
    assert box
    path.write_bytes(head + b"colrnclx" + struct.pack(">HHHB", primaries, transfer, 6, 128) + tail[7:])
    return path


def test_the_colour_box_of_avif_becomes_a_profile(tmp_path: Path) -> None:
    image = read_image(avif(tmp_path / "a.avif", 12, 13))
    assert image.notes == ("the colour space (nclx) is carried as an ICC profile",)
    assert read_image(avif(tmp_path / "b.avif", 1, 13)).metadata.icc is None


@pytest.mark.parametrize("linked", [False, True])
def test_the_profile_of_a_bmp_is_carried(tmp_path: Path, linked: bool) -> None:
    rows = photo(4, 4, 3)
    kind = b"KNIL" if linked else b"DEBM"
    header = struct.pack("<IiiHHIIiiII", 124, 4, 4, 1, 24, 0, rows.nbytes, 0, 0, 0, 0)
    header += struct.pack("<IIII4s", 0, 0, 0, 0, kind) + bytes(48)
    header += struct.pack("<IIII", 4, 124 + rows.nbytes, len(ICC), 0)
    start = struct.pack("<2sIII", b"BM", 138 + rows.nbytes + len(ICC), 0, 138)
    (tmp_path / "a.bmp").write_bytes(start + header + rows.tobytes() + ICC)
    image = read_image(tmp_path / "a.bmp")
    assert image.metadata.icc == (None if linked else ICC)
    assert len(image.losses if linked else image.notes) == 1


def test_the_profile_of_a_jpeg_2000_is_carried(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jp2"), photo(64, 64, 3))
    data = (tmp_path / "a.jp2").read_bytes()
    at = data.index(b"colr") - 4
    old = int.from_bytes(data[at : at + 4], "big")
    box = struct.pack(">I4sBBB", 11 + len(ICC), b"colr", 2, 0, 0) + ICC
    header = data.index(b"jp2h") - 4
    length = int.from_bytes(data[header : header + 4], "big") + len(box) - old
    data = data[:header] + struct.pack(">I", length) + data[header + 4 : at] + box + data[at + old :]
    (tmp_path / "a.jp2").write_bytes(data)
    assert read_image(tmp_path / "a.jp2").metadata.icc == ICC


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
def test_a_broken_profile_is_left_behind_and_named(tmp_path: Path, suffix: str) -> None:
    broken = ICC[:128] + b"\xff" * (len(ICC) - 128)
    source = saved(tmp_path / "a.jpg", photo(20, 20, 3), {"icc-profile-data": (BLOB, ICC)})
    source.write_bytes(source.read_bytes().replace(ICC, broken))
    image = read_image(source)
    assert image.losses == ("the ICC profile is broken and not carried",)
    assert write_image(tmp_path / f"b{suffix}", image) == ()
    unread = ImageFile(photo(20, 20, 3), metadata=Metadata(icc=broken))
    write_image(tmp_path / f"c{suffix}", unread)


def test_bytes_after_a_profile_are_cut_off() -> None:
    assert usable_profile(ICC + b"\0" * 20) == ICC
    assert usable_profile(ICC[:-100]) is None
    assert usable_profile(b"") is None


def test_a_profile_of_other_channels_is_named(tmp_path: Path) -> None:
    gray = ImageFile(photo(20, 20), metadata=Metadata(icc=ICC))
    notes = write_image(tmp_path / "a.png", gray)
    assert notes == ("the ICC profile does not fit the image, and is not carried into the PNG file",)


def test_chromaticities_of_a_tiff_become_a_profile(tmp_path: Path) -> None:
    white, primaries = (3127, 10000, 3290, 10000), (68, 100, 32, 100, 265, 1000, 69, 100, 15, 100, 6, 100)
    tags = [(318, 5, 2, white, False), (319, 5, 6, primaries, False)]
    tifffile.imwrite(tmp_path / "a.tif", photo(8, 12, 3), photometric="rgb", metadata=None, extratags=tags)
    image = read_image(tmp_path / "a.tif")
    assert image.metadata.icc == display_profile(P3, None, gray=False)
    assert image.notes == ("the colour space (TIFF chromaticities) is carried as an ICC profile",)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize(
    ("index", "note"), [("R03", "the colour space (EXIF, Adobe RGB) is carried as an ICC profile"), ("R98", "")]
)
def test_the_colour_space_that_only_exif_names_is_carried(tmp_path: Path, suffix: str, index: str, note: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA001: 0xFFFF, 0xA005: {1: index, 2: b"0100"}})
    Image.fromarray(photo(8, 8, 3)).save(tmp_path / f"a{suffix}", exif=exif)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.notes == ((note,) if note else ())
    assert (image.metadata.icc is not None) == bool(note)
    if note:
        red, green, _ = shown(image, (100, 200, 100))
        assert red < 40
        assert green > 195


@pytest.mark.parametrize(("suffix", "notes"), [(".jpg", 1), (".png", 0)])
def test_colours_that_exif_does_not_name_are_noted(tmp_path: Path, suffix: str, notes: int) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    path = tmp_path / f"a{suffix}"
    info = PngInfo()
    info.add(b"sRGB", b"\0")  # which counts more
    Image.fromarray(photo(8, 8, 3)).save(path, exif=exif, pnginfo=info)
    found = read_image(path).notes
    assert len(found) == notes
    assert all("are taken for sRGB" in note for note in found)


def test_colours_that_only_the_av1_data_state_are_carried(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    with av.open(str(path), "w", format="avif") as out:
        stream = out.add_stream("libsvtav1", rate=1, options={"preset": "10"})
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
        context.color_primaries, context.color_trc, context.colorspace = 12, 13, 1
        frame = av.VideoFrame.from_ndarray(photo(64, 64, 3), "rgb24").reformat(format="yuv420p")
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    content = bytearray(path.read_bytes().replace(b"colrnclx", b"freenclx"))
    content[27] = 0x80  # no text: in one of the names that the file gives its kind
    path.write_bytes(content)
    image = read_image(path)
    assert image.metadata.icc is not None
    assert image.notes == ("the colour space (AV1) is carried as an ICC profile",)


@pytest.mark.parametrize(
    ("tags", "floats"), [({}, False), ({"byteorder": ">"}, False), ({"bigtiff": True}, False), ({}, True)]
)
def test_chromaticities_are_read_from_every_kind_of_tiff(tmp_path: Path, tags: dict[str, object], floats: bool) -> None:
    stored = []
    for tag, values in ((318, P3[6:]), (319, P3[:6])):
        fractions = [part for value in values for part in (round(value * 10_000), 10_000)]
        stored.append((tag, 11 if floats else 5, len(values), values if floats else tuple(fractions), True))
    tifffile.imwrite(tmp_path / "a.tif", photo(6, 8, 3), photometric="rgb", extratags=stored, **tags)
    image = read_image(tmp_path / "a.tif")
    assert image.notes == ("the colour space (TIFF chromaticities) is carried as an ICC profile",)
    published = ImageFile(photo(4, 4), metadata=Metadata(icc=ICC))
    np.testing.assert_allclose(shown(image, (200, 100, 50)), shown(published, (200, 100, 50)), atol=1)


def test_a_sampled_curve_of_a_tiff_becomes_a_profile(tmp_path: Path) -> None:
    linear = tuple(range(0, 65_536, 257)) * 3
    tifffile.imwrite(tmp_path / "a.tif", photo(6, 8, 3), photometric="rgb", extratags=[(301, 3, 768, linear, True)])
    np.testing.assert_allclose(shown(read_image(tmp_path / "a.tif"), (55, 55, 55)), 128, atol=2)


def test_limited_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedImage, match="limited range"):
        read_image(png(tmp_path / "a.png", {b"cICP": bytes([1, 13, 0, 0])}))


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_a_profile_of_other_colours_in_cmyk_is_named(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(photo(12, 16, 4), "CMYK").save(tmp_path / f"a{suffix}", icc_profile=b"no profile" * 50)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.notes == ("CMYK converted to sRGB",)
    assert image.losses == ("the ICC profile is broken and not carried",)
