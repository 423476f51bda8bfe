"""Read TIFF files in 8-bit CIELAB, which libvips 8.18 takes for its own packed Lab (``bad labq format``)."""

import struct
from pathlib import Path
from typing import Any

import pyvips

_PHOTOMETRIC = 262
_RGB = 2


def open_tiff_lab(path: Path, **options: Any) -> pyvips.Image:
    """Open an 8-bit Lab TIFF as floats in L*a*b*, with the options of ``tiffload``.

    The file is relabelled as RGB in memory, so that libvips undoes whatever compression there is.
    """
    data = bytearray(path.read_bytes())
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", data, entry) == (_PHOTOMETRIC,):
            struct.pack_into(order + "H", data, entry + 8, _RGB)
    image = pyvips.Image.tiffload_buffer(bytes(data), **options)
    signed = [image[band].copy(format="char") for band in (1, 2)]
    return (image[0] * (100 / 255)).bandjoin(signed).copy(interpretation="lab")
