"""What a JPEG file holds besides its image is named, and XMP no longer claims it."""

import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.condition.jpeg import quality_of
from pipeline.images import read_image, write_image
from pipeline.images.xmp import without_beside
from tests.pipeline.images.samples import BLOB, photo, saved

MOTION = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description rdf:about=""
 xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" xmlns:Item="http://ns.google.com/photos/1.0/container/item/"
 xmlns:Container="http://ns.google.com/photos/1.0/container/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 dc:source="a &gt; b" GCamera:MotionPhoto="1" GCamera:SpecialTypeID="x">
<Container:Directory><rdf:Seq><rdf:li><Container:Item Item:Mime="video/mp4"/></rdf:li></rdf:Seq>
</Container:Directory></rdf:Description></rdf:RDF></x:xmpmeta>"""
VIDEO = b"\0\0\0\x18ftypmp42" + b"\xff\xd9\xff\xd8" * 50
REMOVED = "what XMP says of data beside the image (motion photo, gain map, extended XMP) is removed"


def segment(code: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(body) + 2) + body


def test_a_motion_photo_becomes_a_photo(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.jpg", photo(16, 16, 3), {"xmp-data": (BLOB, MOTION)})
    source.write_bytes(source.read_bytes() + VIDEO)
    image = read_image(source)
    assert image.losses == (f"the video of {len(VIDEO)} bytes (motion photo) in the file is not carried", REMOVED)
    write_image(tmp_path / "b.jpg", image)
    written = (tmp_path / "b.jpg").read_bytes()
    assert b"MotionPhoto" not in written
    assert b"Container:Directory" not in written
    assert b'dc:source="a &gt; b" GCamera:SpecialTypeID="x"' in written
    assert read_image(tmp_path / "b.jpg").losses == ()


@pytest.mark.parametrize(
    ("inside", "after", "named"),
    [
        (segment(0xE2, b"MPF\0" + bytes(20)), b"", "second image (MPO: another view, or a gain map)"),
        (segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0"), b"", "HDR gain map"),
        (segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)), b"", "extended XMP"),
        (segment(0xEB, b"JP" + bytes(20)), b"", "C2PA or JUMBF data (content credentials)"),
        (segment(0xE6, b"GoPro\0" + bytes(30)), b"", "data of APP6 (GoPro)"),
        (segment(0xE4, bytes(30)), b"", "data of APP4"),
        (segment(0xED, b"Photoshop 3.0\x008BIM\x07\xd0\0\0" + bytes(30)), b"", "clipping path of Photoshop"),
        (b"", b"\xff\xd8\xff\xe0" + bytes(9), "second image"),
        (b"", b"abc" + bytes(20) + b"SEFT", "Samsung trailer"),
        (b"", b"unknown", "data of 7 bytes after the image"),
    ],
)
def test_what_is_not_carried_is_named(tmp_path: Path, inside: bytes, after: bytes, named: str) -> None:
    data = saved(tmp_path / "a.jpg", photo(16, 16, 3)).read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + inside + data[2:] + after)
    assert read_image(tmp_path / "a.jpg").losses == (f"the {named} in the file is not carried",)


@pytest.mark.parametrize("maker", [b"oplus", b"xiaomi"])
def test_motion_photos_of_other_makers_claim_nothing_either(maker: bytes) -> None:
    packet = MOTION.replace(b"ns.google.com/photos/1.0/camera", b"ns." + maker + b".com/photos/1.0/camera")
    assert b"MotionPhoto" not in without_beside(packet)
    assert b"SpecialTypeID" in without_beside(packet)


@pytest.mark.parametrize("options", [{}, {"interlace": True}, {"restart_interval": 1}])
def test_a_plain_jpeg_has_no_notes(tmp_path: Path, options: dict[str, object]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    source = saved(tmp_path / "a.jpg", noise, **options)
    source.write_bytes(source.read_bytes() + bytes(64))  # padding
    assert read_image(source).losses == ()


def test_xmp_that_claims_nothing_stays_as_it_is() -> None:
    xmp = b'<x xmlns:a="http://ns.google.com/photos/1.0/camera/" a:SpecialTypeID="1"/>'
    assert without_beside(xmp) == xmp


@pytest.mark.parametrize("quality", [35, 90])
def test_the_quantisation_table_of_luma_is_read(tmp_path: Path, quality: int) -> None:
    source = saved(tmp_path / "a.jpg", photo(16, 16, 3), {}, Q=quality)
    assert quality_of(read_image(source).luma_table) == quality
    assert read_image(saved(tmp_path / "a.png", photo(16, 16, 3))).luma_table == ()
