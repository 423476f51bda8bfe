"""Name what stands beside the image in PNG, WebP and AVIF files and is not carried; of JPEG see ``jpeg_parts``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.images.kinds import png_chunks, png_end

CREDENTIALS = "C2PA or JUMBF data (content credentials)"
_BOXES = 2**20
_C2PA_BOX = b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def beside_the_image(path: Path, name: str) -> tuple[str, ...]:
    """Return names of what a file of the format ``name`` holds besides its image and metadata."""
    find = _FINDERS.get(name)
    return tuple(find(path)) if find else ()


def _beside_png(path: Path) -> Iterator[str]:
    if any(png_chunks(path, {b"caBX"}, 0)):
        yield CREDENTIALS
    if (after := path.stat().st_size - png_end(path)) > 0:
        yield f"data of {after} bytes after the image"


def _beside_webp(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            if header[:4] == b"C2PA":
                yield CREDENTIALS
            length = int.from_bytes(header[4:], "little")
            file.seek(length + length % 2, 1)


def _beside_avif(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        head = file.read(_BOXES)
    if _C2PA_BOX in head:
        yield CREDENTIALS
    if re.search(rb"infe.{8}tmap", head, re.DOTALL):
        yield "HDR gain map"


_FINDERS: Mapping[str, Callable[[Path], Iterator[str]]] = MappingProxyType(
    {"PNG": _beside_png, "WebP": _beside_webp, "AVIF": _beside_avif}
)
