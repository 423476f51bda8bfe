"""Images that claim too much, unpack to too much or lead in circles end at once and in little memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.campaign import Campaign
from tests.faults.command import Ended, Worker, run_here
from tests.faults.image_seeds import write_seeds
from tests.faults.outcome import Tally, faults_of, leftovers, records_of
from tests.pipeline.images.samples import png_chunk

RESTORE = ("-o", "out", "-c", "chain.yaml", "--device", "cpu", "--precision", "fp32")
_HUGE = 60_000  # pixels a side

Seeds = dict[str, bytes]


def _replaced(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _png(*chunks: bytes, side: int = 8, body: bytes = zlib.compress(bytes(25 * 8))) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def _jpeg_with(seeds: Seeds, *segments: tuple[int, bytes]) -> bytes:
    plain = seeds["plain.jpg"]
    added = b"".join(b"\xff" + bytes([code]) + struct.pack(">H", 2 + len(body)) + body for code, body in segments)
    return plain[:2] + added + plain[2:]


def _tiff(**changes: tuple[int, int, int]) -> bytes:
    """Return a gray TIFF of 16 x 16 with tags, named ``t273``, added or replaced by (type, count, value)."""
    tags = {256: (4, 1, 16), 257: (4, 1, 16), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 400)}
    tags |= {277: (3, 1, 1), 278: (4, 1, 16), 279: (4, 1, 256)}
    tags |= {int(name[1:]): entry for name, entry in changes.items()}
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    directory = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return directory.ljust(400, b"\0") + bytes(range(256))


def _bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return struct.pack("<2sIII", b"BM", 154, 0, 54) + info + bytes(100)


CLAIMS: dict[str, Callable[[Seeds], bytes]] = {
    "a.png": lambda seeds: _png(side=_HUGE),
    "a.jpg": lambda seeds: _replaced(
        seeds["plain.jpg"], seeds["plain.jpg"].index(b"\xff\xc0") + 5, struct.pack(">HH", _HUGE, _HUGE)
    ),
    "a.tif": lambda seeds: _tiff(t256=(4, 1, _HUGE), t257=(4, 1, _HUGE)),
    "a.avif": lambda seeds: _replaced(
        seeds["plain.avif"], seeds["plain.avif"].index(b"ispe") + 8, struct.pack(">II", _HUGE, _HUGE)
    ),
    "a.bmp": lambda seeds: _bmp(_HUGE, _HUGE),
    "b.bmp": lambda seeds: _bmp(16, -(2**31)),
    "a.ppm": lambda seeds: b"P6 60000 60000 255\n" + bytes(100),
    "a.pfm": lambda seeds: b"PF 60000 60000 -1.0\n" + bytes(100),
    "a.jp2": lambda seeds: _replaced(
        seeds["colours.jp2"], seeds["colours.jp2"].index(b"ihdr") + 4, struct.pack(">II", _HUGE, _HUGE)
    ),
}


def _xmp(packet: bytes) -> tuple[int, bytes]:
    return 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet


_LOOP = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + struct.pack("<HHII", 0x8769, 4, 1, 8) * 2 + struct.pack("<I", 8)
_LONG = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 0x010E, 2, 2**32 - 1, 8) + bytes(4)
_ENTITIES = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + level, b"&%c;" % (97 + level) * 10) for level in range(9))
    + b'<!ENTITY k SYSTEM "file:///etc/passwd">]><x:xmpmeta>&j;&k;</x:xmpmeta>'
)


def _unpacking(gibibytes: float) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(int(gibibytes * 1024))) + packer.flush()


_BOMB = _unpacking(1 / 16)

# Restored or refused, as the decoder sees fit.
OTHERS: dict[str, Callable[[Seeds], bytes]] = {
    "profile_bomb.png": lambda seeds: _png(png_chunk(b"iCCP", b"x\0\0" + _BOMB)),
    "text_bomb.png": lambda seeds: _png(png_chunk(b"zTXt", b"x\0\0" + _BOMB)),
    "xmp_bomb.png": lambda seeds: _png(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + _BOMB)),
    "pixel_bomb.png": lambda seeds: _png(body=_BOMB),
    "many_texts.png": lambda seeds: _png(png_chunk(b"tEXt", b"a\0b") * 10_000),
    "exif_in_itself.jpg": lambda seeds: _jpeg_with(seeds, (0xE1, b"Exif\0\0" + _LOOP)),
    "exif_too_long.jpg": lambda seeds: _jpeg_with(seeds, (0xE1, b"Exif\0\0" + _LONG)),
    "entities.jpg": lambda seeds: _jpeg_with(seeds, _xmp(_ENTITIES)),
    "nested_xmp.jpg": lambda seeds: _jpeg_with(seeds, _xmp(b"<a>" * 20_000)),
    "spaces_in_xmp.jpg": lambda seeds: _jpeg_with(seeds, _xmp(b"tiff:Orientation" + b" " * 60_000)),
    "number_in_xmp.jpg": lambda seeds: _jpeg_with(seeds, _xmp(b"<tiff:ImageWidth>" + b"9" * 60_000)),
    "iptc_too_long.jpg": lambda seeds: _jpeg_with(seeds, (0xED, b"Photoshop 3.0\x008BIM\4\4\0\0" + b"\xff" * 8)),
    "filling.jpg": lambda seeds: seeds["plain.jpg"][:2] + b"\xff" * 100_000 + seeds["plain.jpg"][2:],
    "second_images.jpg": lambda seeds: seeds["plain.jpg"] * 1000,
    "page_after_itself.tif": lambda seeds: _tiff()[:118] + struct.pack("<I", 8) + _tiff()[122:],
    "directory_in_itself.tif": lambda seeds: _tiff(t330=(4, 1, 8), t34665=(4, 1, 8), t34853=(4, 1, 8)),
    "strip_too_long.tif": lambda seeds: _tiff(t279=(4, 1, 0xFFFFFFF0)),
    "rows_too_many.tif": lambda seeds: _tiff(t278=(4, 1, 0xFFFFFFFF)),
    "tile_too_large.tif": lambda seeds: _tiff(t322=(4, 1, 0x7FFFFFF0), t323=(4, 1, 16), t324=(4, 1, 400)),
    "text_too_long.tif": lambda seeds: _tiff(t270=(2, 0x7FFFFFFF, 8), t700=(1, 0x7FFFFFFF, 8)),
    "many_samples.tif": lambda seeds: _tiff(t277=(3, 1, 65535)),
    "nested_boxes.avif": lambda seeds: seeds["plain.avif"][:28] + _nested(2000) + seeds["plain.avif"][28:],
    "many_boxes.avif": lambda seeds: seeds["plain.avif"][:28] + b"\0\0\0\x08free" * 10_000 + seeds["plain.avif"][28:],
    "small_tiles.jp2": lambda seeds: _replaced(
        seeds["colours.jp2"], seeds["colours.jp2"].index(b"\xff\x51") + 22, struct.pack(">II", 1, 1)
    ),
    "page.png": lambda seeds: b'<?xml version="1.0"?><svg><image href="file:///etc/passwd"/></svg>',
}


def _nested(levels: int) -> bytes:
    boxes = b""
    for _ in range(levels):
        boxes = struct.pack(">I4s", len(boxes) + 8, b"moov") + boxes
    return boxes


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    """The valid images by name."""
    return {path.name: path.read_bytes() for path in write_seeds(tmp_path_factory.mktemp("seeds"))}


@pytest.fixture
def folder(tmp_path: Path, kept_folder: None) -> Path:
    """A folder with a chain."""
    (tmp_path / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    return tmp_path


@pytest.mark.parametrize("name", CLAIMS)
def test_a_header_that_claims_gigapixels_is_refused(folder: Path, seeds: Seeds, name: str) -> None:
    (folder / name).write_bytes(CLAIMS[name](seeds))
    ended = run_here([name, *RESTORE], folder)
    assert not list(faults_of(ended))
    assert records_of(folder / "out")[-1]["status"] == "refused"
    assert "megapixels, expected at most" in records_of(folder / "out")[-1]["error"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_hostile_image_takes_neither_time_nor_memory(folder: Path, seeds: Seeds, name: str) -> None:
    (folder / name).write_bytes(OTHERS[name](seeds))
    _check(run_here([name, *RESTORE], folder), folder, seconds=10)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_hostile_images_in_full_size(folder: Path, seeds: Seeds, campaign: Campaign) -> None:
    """The same, and bombs of 1 GiB, in a process that may crash."""
    bomb, worker, tally = _unpacking(1), Worker(), Tally()
    large = {
        "profile.png": _png(png_chunk(b"iCCP", b"x\0\0" + bomb)),
        "text.png": _png(png_chunk(b"zTXt", b"x\0\0" + bomb)),
        "xmp.png": _png(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)),
        "pixels.png": _png(body=bomb),
        "texts.png": _png(png_chunk(b"tEXt", b"a\0b") * 200_000),
        "comments.jpg": _jpeg_with(seeds, *[(0xFE, b"c" * 65_000)] * 1000),
        "filling.jpg": seeds["plain.jpg"][:2] + b"\xff" * 5_000_000 + seeds["plain.jpg"][2:],
        "boxes.avif": seeds["plain.avif"][:28] + b"\0\0\0\x08free" * 500_000 + seeds["plain.avif"][28:],
    }
    try:
        for name, data in ({name: make(seeds) for name, make in (CLAIMS | OTHERS).items()} | large).items():
            (folder / name).write_bytes(data)
            ended = worker.run(name, *RESTORE, folder=folder)
            status = records_of(folder / "out")[-1]["status"] if ended.code >= 0 else "crashed"
            tally.add(status, name, ended.seconds, ended.peak, faults_of(ended))
            (folder / name).unlink()
    finally:
        worker.close()
    campaign.report("hostile images", tally)
    assert not tally.faults, "\n".join(tally.faults)


def _check(ended: Ended, folder: Path, seconds: float) -> None:
    assert not list(faults_of(ended))
    assert not leftovers(folder / "out")
    assert ended.seconds < seconds
    assert records_of(folder / "out")[-1]["status"] in ("done", "failed", "refused")
