"""Small valid images of every format that is read, with all that such files hold besides pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyvips
import tifffile

from tests.pipeline.images.samples import BLOB, INT, IPTC, TEXT, photo, png_chunk, saved

_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
_SRGB = pyvips.Image.profile_load("srgb")


def write_seeds(folder: Path) -> list[Path]:
    """Write the images into a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [*_by_libvips(folder), *_by_tifffile(folder), *_by_opencv(folder), *_by_hand(folder)]


def _fields(*names: str) -> dict[str, tuple[int, object]]:
    known: dict[str, tuple[int, object]] = {
        "orientation": (INT, 6),
        "exif-ifd0-Make": (TEXT, "Maker (Maker, ASCII, 6 components, 6 bytes)"),
        "xmp-data": (BLOB, _XMP),
        "iptc-data": (BLOB, IPTC),
        "icc-profile-data": (BLOB, _SRGB),
    }
    return {name: known[name] for name in names}


def _by_libvips(folder: Path) -> Iterator[Path]:
    small, deep = photo(12, 16, 3), photo(12, 16, 3, dtype=np.uint16)
    every = _fields("orientation", "exif-ifd0-Make", "xmp-data", "iptc-data")
    yield saved(folder / "plain.jpg", photo(24, 32, 3))
    yield saved(folder / "metadata.jpg", small, every)
    yield saved(folder / "profile.jpg", small, _fields("icc-profile-data"))
    yield saved(folder / "progressive.jpg", photo(24, 32, 3), interlace=True)
    yield saved(folder / "gray.jpg", photo(24, 32))
    cmyk = pyvips.Image.new_from_array(photo(12, 16, 4)).copy(interpretation="cmyk")
    cmyk.jpegsave(str(folder / "cmyk.jpg"))
    yield folder / "cmyk.jpg"
    yield saved(folder / "plain.png", small)
    yield saved(folder / "deep.png", deep, every)
    yield saved(folder / "profile.png", small, _fields("icc-profile-data"))
    yield saved(folder / "interlaced.png", photo(12, 16, 4), interlace=True)
    yield saved(folder / "palette.png", photo(12, 16, 3), palette=True)
    yield saved(folder / "still.gif", small)
    yield saved(folder / "lossy.webp", small, every)
    yield saved(folder / "lossless.webp", photo(12, 16, 4), _fields("icc-profile-data"), lossless=True)
    yield saved(folder / "strips.tif", small, every)
    yield saved(folder / "tiles.tif", photo(20, 36, 3), tile=True, tile_width=16, tile_height=16, compression="deflate")
    yield saved(folder / "jpeg.tif", photo(16, 16, 3), compression="jpeg")
    yield saved(folder / "deep.tif", deep, compression="lzw", predictor="horizontal")
    yield saved(folder / "floats.tif", photo(12, 16, 3, dtype=np.float32))
    yield saved(folder / "large.tif", small, bigtiff=True)
    lab = pyvips.Image.new_from_array(small).copy(interpretation="srgb").colourspace("lab")
    lab.tiffsave(str(folder / "lab.tif"))
    yield folder / "lab.tif"
    yield saved(folder / "plain.avif", photo(16, 16, 3), every, compression="av1")
    yield saved(folder / "alpha.avif", photo(16, 16, 4), compression="av1", bitdepth=10)


def _by_tifffile(folder: Path) -> Iterator[Path]:
    pixels = photo(12, 16, 3)
    tifffile.imwrite(folder / "big_endian.tif", pixels, byteorder=">", photometric="rgb", description="a scan")
    yield folder / "big_endian.tif"
    with tifffile.TiffWriter(folder / "thumbnail.tif") as file:
        file.write(pixels, photometric="rgb")
        file.write(pixels[::2, ::2], photometric="rgb", subfiletype=1)
    yield folder / "thumbnail.tif"
    extra = np.concatenate([pixels, pixels[..., :1]], axis=-1)
    tifffile.imwrite(folder / "infrared.tif", extra, photometric="rgb", extrasamples=[0])
    yield folder / "infrared.tif"


def _by_opencv(folder: Path) -> Iterator[Path]:
    colours = photo(12, 16, 3)
    for name, pixels in {
        "colours.bmp": colours,
        "alpha.bmp": photo(12, 16, 4),
        "colours.ppm": colours,
        "deep.pgm": photo(12, 16, dtype=np.uint16),
        "bits.pbm": photo(12, 16),
        "floats.pfm": photo(12, 16, dtype=np.float32),
        "colours.jp2": photo(40, 48, 3),
        "deep.jp2": photo(40, 48, dtype=np.uint16),
    }.items():
        cv2.imwrite(str(folder / name), pixels)
        yield folder / name


def _by_hand(folder: Path) -> Iterator[Path]:
    """Text PNM, chunks that define colours and texts, a palette BMP."""
    (folder / "text.ppm").write_bytes(b"P3\n# a comment\n4 2 100\n" + b"1 50 100 " * 8)
    yield folder / "text.ppm"
    plain = (folder / "plain.png").read_bytes()
    chunks = (
        png_chunk(b"gAMA", struct.pack(">I", 100000))
        + png_chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
        + png_chunk(b"tEXt", b"Title\0a title")
        + png_chunk(b"iTXt", b"Author\0\0\0de\0Autor\0" + "Jörg".encode())
    )
    (folder / "chunks.png").write_bytes(plain[:33] + chunks + plain[33:])
    yield folder / "chunks.png"
    turned = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x112, 3, 1, 6) + bytes(4)
    late = png_chunk(b"eXIf", turned) + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _XMP)
    (folder / "late.png").write_bytes(plain[:-12] + late + plain[-12:])
    yield folder / "late.png"
    still = (folder / "still.gif").read_bytes()
    at = 13 + 3 * 2 ** ((still[10] & 7) + 1) if still[10] & 0x80 else 13
    parts = b"\x21\xfe\x05hello\0\x21\xff\x0bXMP DataXMP" + _XMP + b"\1" + bytes(range(255, -1, -1)) + b"\0"
    (folder / "parts.gif").write_bytes(still[:at] + parts + still[at:])
    yield folder / "parts.gif"
    rows = bytes(range(64))
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    info = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 66 + 64, 0, 66, 40, 8, 4, 1, 16, 3, 64, 0, 0, 0, 0)
    (folder / "masked.bmp").write_bytes(info + masks + rows)
    yield folder / "masked.bmp"
    palette = bytes(value for index in range(16) for value in (index, 255 - index, 16 * index, 0))
    offset = 54 + len(palette)
    header = struct.pack("<2sIII", b"BM", offset + 8 * 4, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, 16, 4, 1, 4, 0, 32, 0, 0, 16, 16)
    (folder / "palette.bmp").write_bytes(header + info + palette + bytes(range(32)))
    yield folder / "palette.bmp"
