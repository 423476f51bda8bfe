"""EXIF is changed in place: maker notes stay where their offsets say."""

import io
from pathlib import Path

import pytest
from PIL import Image

from pipeline.images import ImageFile, read_image, write_image
from pipeline.images.exif_block import exif_orientation, updated_exif
from pipeline.images.metadata import Metadata
from tests.pipeline.images.samples import photo, png_chunk, saved

MAKER_NOTES = b"SONY DSC \0\0\0" + bytes(range(1, 200))
THUMBNAIL = b"\xff\xd8" + b"thumbnail" * 50 + b"\xff\xd9"


def block(endian: str = "<", width: int = 9, note: bytes = MAKER_NOTES) -> bytes:
    """A block of a photo of 9 x 4 pixels that is shown turned, with a thumbnail."""
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F], exif[0x0112] = "SONY", 6
    exif.get_ifd(0x8769).update({0x927C: note, 0xA002: width, 0xA003: 4, 0xA434: "a lens"})
    packed = bytearray(exif.tobytes(8))
    link = 6 + 8 + 2 + 12 * int.from_bytes(packed[14:16], "little" if endian == "<" else "big")
    order = "little" if endian == "<" else "big"
    at = len(packed) - 6
    packed[link : link + 4] = at.to_bytes(4, order)
    packed += (2).to_bytes(2, order)
    for tag, value in ((0x201, at + 30), (0x202, len(THUMBNAIL))):
        packed += tag.to_bytes(2, order) + (4).to_bytes(2, order) + (1).to_bytes(4, order) + value.to_bytes(4, order)
    return bytes(packed + bytes(4)) + THUMBNAIL


def tags(exif: bytes) -> dict[int, object]:
    found = Image.Exif()
    found.load(exif)
    return {**found, **found.get_ifd(0x8769)}


@pytest.mark.parametrize("endian", ["<", ">"])
def test_what_describes_the_pixels_changes_and_nothing_moves(endian: str) -> None:
    before = block(endian)
    after = updated_exif(before, (4, 9), (8, 70_000))
    assert after is not None
    assert after.find(MAKER_NOTES) == before.find(MAKER_NOTES)
    expected = tags(before) | {0x0112: 1, 0xA002: 8, 0xA003: 70_000}
    assert tags(after) == expected
    assert THUMBNAIL not in after
    assert len(Image.open(io.BytesIO(jpeg_with(after))).getexif().get_ifd(1)) == 0


def jpeg_with(exif: bytes) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_maker_notes_are_written_where_they_were(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(photo(4, 9, 3)).save(tmp_path / "a.jpg", exif=block())
    image = read_image(tmp_path / "a.jpg")
    assert write_image(tmp_path / f"b{suffix}", image) == ()
    written = read_image(tmp_path / f"b{suffix}")
    assert written.pixels.shape == image.pixels.shape
    exif = (written.metadata.exif or b"").removeprefix(b"Exif\0\0")
    assert exif.find(MAKER_NOTES) == block().find(MAKER_NOTES) - 6
    with Image.open(tmp_path / f"b{suffix}") as seen:
        assert seen.getexif()[0x0112] == 1
        assert seen.getexif().get_ifd(0x8769)[0xA434] == "a lens"


@pytest.mark.parametrize("length", [9, 20, 100])
def test_a_damaged_block_is_left_to_libvips(tmp_path: Path, length: int) -> None:
    damaged = block()[:length]
    assert updated_exif(damaged, (4, 4), (8, 8)) is None
    write_image(tmp_path / "a.jpg", ImageFile(photo(8, 8, 3), metadata=Metadata(exif=damaged)))
    assert exif_orientation(read_image(tmp_path / "a.jpg").metadata.exif or b"") == 1


def test_a_block_without_a_header_is_none(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.png", photo(8, 8, 3), keep="none").read_bytes()
    (tmp_path / "a.png").write_bytes(data[:-12] + png_chunk(b"eXIf", b"II*") + data[-12:])
    image = read_image(tmp_path / "a.png")
    assert image.metadata.exif is None
    write_image(tmp_path / "b.jpg", image)


def test_a_block_that_is_too_long_for_a_jpeg_is_left_out(tmp_path: Path) -> None:
    image = ImageFile(photo(8, 8, 3), metadata=Metadata(exif=block(note=bytes(66_000))))
    write_image(tmp_path / "a.jpg", image)
    write_image(tmp_path / "a.png", image)
    assert read_image(tmp_path / "a.jpg").metadata.exif is None
    assert bytes(66_000) in (read_image(tmp_path / "a.png").metadata.exif or b"")
