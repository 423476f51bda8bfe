"""Carry metadata from one image file to another: ICC profile, EXIF, XMP, IPTC, PNG texts, resolution.

Everything is copied unchanged except for what new pixels would make wrong: the orientation (the pixels are upright
now), the thumbnail of the original and sizes in pixels.
"""

import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyvips

from pipeline.images.exif_block import exif_orientation, exif_tags, updated_exif
from pipeline.images.kinds import png_chunks
from pipeline.images.tiff_metadata import EXIF_PREFIX
from pipeline.images.xmp import resized
from pipeline.tiling import round_up

USUAL_RESOLUTION = (72 / 25.4, 72 / 25.4)
_NO_RESOLUTION = 1.0  # of libvips
_LONGEST_TEXT = 2**22
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_XMP_CHUNK = b"XML:com.adobe.xmp\0"
_EXIF_HEADER, _IMAGE_WIDTH = 8, 0x0100

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([1-8])")

_BLOB, _TEXT = pyvips.GValue.blob_type, pyvips.GValue.gstr_type

_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404


@dataclass(frozen=True)
class Metadata:
    """Metadata of one image, as plain data.

    Args:
        icc: The colour profile.
        exif: The block of the file, unchanged: with the old orientation, size and thumbnail.
        exif_has_size: Whether its first directory holds the size too, as Photoshop writes it.
        xmp: The packet, its orientation already set to upright.
        iptc: The bare IPTC-IIM records, without the wrapping that JPEG puts around them.
        png_texts: Chunks of a PNG file, by name and data, unchanged: compressed ones stay compressed.
        comments: Of a JPEG or GIF file, in whatever encoding they are.
        size: Width and height of the upright image, to which sizes in XMP refer; None if it was not read.
        resolution: Pixels per millimetre, horizontal and vertical; 72 per inch if the file has none.
        resolution_unit: ``in`` or ``cm``, as in the file.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    exif_has_size: bool = False
    xmp: bytes | None = None
    iptc: bytes | None = None
    png_texts: tuple[tuple[bytes, bytes], ...] = ()
    comments: tuple[bytes, ...] = ()
    size: tuple[int, int] | None = None
    resolution: tuple[float, float] = USUAL_RESOLUTION
    resolution_unit: str = "in"


def orientation_of(image: pyvips.Image) -> int:
    """Return the EXIF orientation, 1 to 8; that of the XMP where there is none (PNG files)."""
    if image.get_typeof("orientation"):
        value = image.get("orientation")
        return value if 1 <= value <= 8 else 1
    found = _XMP_ORIENTATION.search(_get(image, "xmp-data") or b"")
    return int(found[2]) if found else 1


def collect(image: pyvips.Image) -> Metadata:
    """Return the metadata of an image, apart from texts of PNG files and all that libvips does not read."""
    xmp, exif = _get(image, "xmp-data"), _get(image, "exif-data")
    if exif is not None and len(exif.removeprefix(EXIF_PREFIX)) < _EXIF_HEADER:
        exif = None  # which libvips would not write
    return Metadata(
        icc=_get(image, "icc-profile-data"),
        exif=exif,
        exif_has_size=exif is not None and ("EXIF", _IMAGE_WIDTH) in exif_tags(exif),
        xmp=None if xmp is None else upright(xmp),
        iptc=_bare_iptc(_get(image, "iptc-data")),
        resolution=USUAL_RESOLUTION if image.xres == _NO_RESOLUTION else (image.xres, image.yres),
        resolution_unit=_get(image, "resolution-unit") or "in",
    )


def upright(xmp: bytes) -> bytes:
    """Return the packet with the orientation of the pixels that are written."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def with_late_chunks(path: Path, image: pyvips.Image) -> pyvips.Image:
    """Return a PNG image with EXIF and XMP that stand behind the pixels, where ExifTool writes them, too."""
    found = {"exif-data": _get(image, "exif-data"), "xmp-data": _get(image, "xmp-data")}
    if all(found.values()):
        return image
    image = image.copy()
    for name, data in png_chunks(path, (b"eXIf", b"iTXt"), _LONGEST_TEXT):
        if name == b"eXIf" and not found["exif-data"]:
            image.set_type(_BLOB, "exif-data", EXIF_PREFIX + data)
            image.set_type(pyvips.GValue.gint_type, "orientation", exif_orientation(data))
        elif data.startswith(_XMP_CHUNK) and not found["xmp-data"] and (xmp := _text_of(data)):
            image.set_type(_BLOB, "xmp-data", xmp)
    return image


def _text_of(data: bytes) -> bytes:
    """Return the text of an iTXt chunk: name, whether it is compressed and how, language, translated name, text."""
    _, _, rest = data.partition(b"\0")
    text = rest[2:].split(b"\0", 2)[-1]
    if rest[:1] != b"\1":
        return text
    try:
        return zlib.decompressobj().decompress(text, _LONGEST_TEXT)
    except zlib.error:
        return b""


def read_png_texts(path: Path) -> tuple[tuple[tuple[bytes, bytes], ...], tuple[str, ...]]:
    """Return the text chunks of a PNG file, and a line on those that are too long."""
    chunks = [
        (name, data)
        for name, data in png_chunks(path, _TEXT_CHUNKS, _LONGEST_TEXT + 1)
        if not data.startswith(_XMP_CHUNK)
    ]
    kept = tuple((name, data) for name, data in chunks if len(data) <= _LONGEST_TEXT)
    lost = len(chunks) - len(kept)
    return kept, (f"{lost} PNG text{'s' * (lost > 1)} of more than 4 MiB not carried",) if lost else ()


def attach(image: pyvips.Image, metadata: Metadata) -> pyvips.Image:
    """Return the image with metadata attached, marked as upright; IPTC wrapped as in JPEG files."""
    horizontal, vertical = metadata.resolution
    image = image.copy(xres=horizontal, yres=vertical)
    image.set_type(_TEXT, "resolution-unit", metadata.resolution_unit)
    xmp = metadata.xmp
    if xmp is not None and metadata.size is not None:
        xmp = resized(xmp, metadata.size, (image.width, image.height))
    for name, block in (("icc-profile-data", metadata.icc), ("xmp-data", xmp)):
        if block is not None:
            image.set_type(_BLOB, name, block)
    if metadata.iptc is not None:
        image.set_type(_BLOB, "iptc-data", _wrapped_iptc(metadata.iptc))
    if metadata.exif is not None:
        block = exif_for(metadata, (image.width, image.height)) or metadata.exif
        _attach_exif(image, block, metadata.exif_has_size)
    return image


def exif_for(metadata: Metadata, size: tuple[int, int]) -> bytes | None:
    """Return the block of EXIF of a result of this width and height; None if there is none, or a damaged one."""
    return None if metadata.exif is None else updated_exif(metadata.exif, metadata.size or size, size)


def _attach_exif(image: pyvips.Image, block: bytes, has_size: bool) -> None:
    """Set EXIF and the fields that change; libvips updates PixelXDimension and PixelYDimension by itself."""
    image.set_type(_BLOB, "exif-data", block)
    image.set_type(_BLOB, "jpeg-thumbnail-data", b"")  # otherwise the thumbnail in the block would be kept
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)
    if has_size:
        image.set_type(_TEXT, "exif-ifd0-ImageWidth", str(image.width))
        image.set_type(_TEXT, "exif-ifd0-ImageLength", str(image.height))


def blocks(metadata: Metadata) -> set[str]:
    """Return the names of the blocks that are present, as in ``Encoder.metadata``."""
    found = {
        "EXIF": metadata.exif,
        "XMP": metadata.xmp,
        "IPTC": metadata.iptc,
        "PNG text": metadata.png_texts,
        "comment": metadata.comments,
    }
    return {name for name, block in found.items() if block}


def _get(image: pyvips.Image, name: str) -> Any:
    return image.get(name) if image.get_typeof(name) else None


def _bare_iptc(data: bytes | None) -> bytes | None:
    """Extract the IPTC records from the Photoshop resources of a JPEG; those of a TIFF are bare already.

    The other resources are a thumbnail of the original and layout settings.
    """
    if data is None or not data.startswith(_PHOTOSHOP):
        return data
    position = len(_PHOTOSHOP)
    while data[position : position + 4] == b"8BIM" and position + 12 <= len(data):
        (resource,) = struct.unpack_from(">H", data, position + 4)
        start = position + 6 + round_up(1 + data[position + 6], 2)
        length = int.from_bytes(data[start : start + 4], "big")
        if resource == _IPTC_RESOURCE:
            return data[start + 4 : start + 4 + length] or None
        position = start + 4 + round_up(length, 2)
    return None


def _wrapped_iptc(records: bytes) -> bytes:
    head = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(records))
    return _PHOTOSHOP + head + records + b"\0" * (len(records) % 2)
