"""Image files as cameras and editors write them, made by libvips itself."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyvips

IPTC = b"\x1c\x02\x05\x00\x05title\x1c\x02\x69\x00\x08headline"
BLOB = pyvips.GValue.blob_type
INT = pyvips.GValue.gint_type
TEXT = pyvips.GValue.gstr_type


def photo(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    """Make smooth pixels that are different at every place and in every channel."""
    height, width, *bands = shape
    rows, columns = np.mgrid[:height, :width]
    planes = [(rows * (3 + band) + columns * (5 - band)) % 200 / 255 for band in range(*bands or (1,))]
    pixels = np.stack(planes, axis=-1).reshape(shape)
    return pixels.astype(dtype) if dtype is np.float32 else np.rint(pixels * np.iinfo(dtype).max).astype(dtype)


def saved(
    path: Path, pixels: np.ndarray, fields: Mapping[str, tuple[int, object]] | None = None, **options: object
) -> Path:
    """Write pixels by libvips itself, with raw header fields."""
    image = pyvips.Image.new_from_array(pixels).copy()
    if pixels.dtype == np.uint16:
        image = image.copy(interpretation="rgb16" if image.bands > 2 else "grey16")
    for name, (kind, value) in (fields or {}).items():
        image.set_type(kind, name, value)
    image.write_to_file(str(path), **options)
    return path


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG file with its checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
