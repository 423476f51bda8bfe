"""Name what stands beside the image in PNG, WebP, GIF and AVIF files and is not carried; of JPEG see ``jpeg_parts``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.images.gif_parts import gif_parts
from pipeline.images.kinds import Header, png_chunks, png_end

CREDENTIALS = "C2PA or JUMBF data (content credentials)"
_BOXES = 2**20
_BLANK_LINES = 2
# Of PNG: what is read elsewhere, what describes the original's coding or its file, and what editors make up.
_CODING = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"sBIT", b"bKGD", b"hIST", b"sPLT", b"iDOT", b"tIME", b"pHYs"}
_CODING |= {b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM", b"vpAg", b"orNT", b"caNv"}
_WEBP_CHUNKS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"EXIF", b"XMP ", b"ANIM", b"ANMF"}
_C2PA_BOX = b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def beside_the_image(path: Path, name: str) -> tuple[str, ...]:
    """Return names of what a file of the format ``name`` holds besides its image and metadata."""
    find = _FINDERS.get(name)
    return tuple(find(path)) if find else ()


def beside_raster(path: Path, header: Header) -> tuple[str, ...]:
    """Return a line on what follows the pixels, such as a second image; blank lines may."""
    if header.end is None or (after := path.stat().st_size - header.end) <= _BLANK_LINES:
        return ()
    return (f"the data of {after} bytes after the image in the file is not carried",)


def _beside_png(path: Path) -> Iterator[str]:
    others = dict.fromkeys(name for name, _ in png_chunks(path, None, 0) if name not in _CODING)
    for name in others:
        yield CREDENTIALS if name == b"caBX" else f"chunk {name.decode('latin-1')}"
    if (after := path.stat().st_size - png_end(path)) > 0:
        yield f"data of {after} bytes after the image"


def _beside_webp(path: Path) -> Iterator[str]:
    size = path.stat().st_size
    with path.open("rb") as file:
        end = int.from_bytes(file.read(8)[4:], "little") + 8
        at = file.seek(12)
        while at < end and len(header := file.read(8)) == 8:
            if header[:4] not in _WEBP_CHUNKS:
                yield CREDENTIALS if header[:4] == b"C2PA" else f"chunk {header[:4].decode('latin-1')}"
            length = int.from_bytes(header[4:], "little")
            at = file.seek(length + length % 2, 1)
    if size > end + end % 2:
        yield f"data of {size - end} bytes after the image"


def _beside_gif(path: Path) -> Iterator[str]:
    yield from (f"data of {name}" for name in gif_parts(path).others)


def _beside_avif(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        head = file.read(_BOXES)
    if _C2PA_BOX in head:
        yield CREDENTIALS
    if re.search(rb"infe.{8}tmap", head, re.DOTALL):
        yield "HDR gain map"


_FINDERS: Mapping[str, Callable[[Path], Iterator[str]]] = MappingProxyType(
    {"PNG": _beside_png, "WebP": _beside_webp, "AVIF": _beside_avif, "GIF": _beside_gif}
)
