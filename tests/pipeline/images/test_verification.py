"""What a written image lacks is named."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.images import ImageFile, missing_in, read_image, write_image
from pipeline.images.metadata import Metadata
from tests.pipeline.images.samples import photo

TIFF_HEAD = b"Exif\0\0II*\0\x08\0\0\0"
EXIF = (
    TIFF_HEAD + b"\x02\0" + b"\x0f\x01\x02\0\x04\0\0\0abc\0" + b"\x8f\x82\x02\0\x04\0\0\0abc\0" + b"\0\0\0\0"
)  # Make and BatteryLevel
FULL = Metadata(exif=EXIF, xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", iptc=b"\x1c\x02\x05\0\x01a")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_nothing_is_missing_in_a_faithful_file(tmp_path: Path, suffix: str) -> None:
    image = ImageFile(photo(32, 32, 3), metadata=FULL)
    known = write_image(tmp_path / f"a{suffix}", image)
    assert missing_in(tmp_path / f"a{suffix}", image, known) == ()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    image = ImageFile(photo(32, 32, 3), metadata=FULL)
    write_image(tmp_path / "a.jpg", replace(image, metadata=Metadata(exif=TIFF_HEAD + EXIF[14:16] + EXIF[16:])))
    assert missing_in(tmp_path / "a.jpg", image) == ("IPTC is missing in the result", "XMP is missing in the result")
    assert missing_in(tmp_path / "a.jpg", image, ["XMP and IPTC are not carried"]) == ()
    write_image(tmp_path / "b.jpg", ImageFile(photo(32, 32, 3), metadata=replace(FULL, iptc=b"\x1c\x02\x05\0\x01b")))
    assert missing_in(tmp_path / "b.jpg", image) == ("IPTC differs in the result",)


def test_missing_tags_are_named(tmp_path: Path) -> None:
    image = ImageFile(photo(32, 32, 3), metadata=FULL)
    write_image(tmp_path / "a.tif", image)
    assert missing_in(tmp_path / "a.tif", image) == ("EXIF tags are missing in the result: BatteryLevel",)


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
def test_what_is_in_pixels_grows_with_the_image(tmp_path: Path, suffix: str) -> None:
    place = struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 26) + bytes(4)
    areas = struct.pack("<H", 3) + struct.pack("<HHII", 0x9214, 3, 4, 68)
    areas += struct.pack("<HHIHH", 0xA214, 3, 2, 7, 8) + struct.pack("<HHII", 0xA20E, 5, 1, 76)
    areas += bytes(4) + struct.pack("<4H2I", 10, 11, 6, 4, 5000, 3)
    metadata = Metadata(exif=TIFF_HEAD + place + areas, size=(32, 32))
    write_image(tmp_path / f"a{suffix}", ImageFile(photo(64, 96, 3), metadata=metadata))
    block = read_image(tmp_path / f"a{suffix}").metadata.exif or b""
    assert struct.pack("<4H", 30, 22, 18, 8) in block
    assert struct.pack("<2I", 15000, 3) in block
    assert struct.pack("<HHIHH", 0xA214, 3, 2, 21, 16) in block
