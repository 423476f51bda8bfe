"""Read and write EXIF and IPTC of TIFF files: libvips 8.18 ignores the first, and cuts the second to a quarter.

A block of EXIF is itself a small TIFF: directories of entries (tag, type, count, value), where a value of more than
four bytes is replaced by its offset. In a TIFF file the image's own directory points to the same ones.
"""

import io
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

_IPTC, _EXIF, _GPS, _INTEROPERABILITY = 0x83BB, 0x8769, 0x8825, 0xA005
_WIDTH, _HEIGHT = 0xA002, 0xA003
_SHORT, _LONG, _RATIONAL, _UNDEFINED = 3, 4, 5, 7
_AREAS = (0x9214, 0xA214)  # SubjectArea: a point, a circle or a rectangle; SubjectLocation

# Description, make, model, software, date, artist, copyright: the others describe the pixels of the file.
_ABOUT_PHOTO = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)

# By type: bytes of one value, and of the words in it that have a byte order.
_TYPES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1)}
_TYPES |= {8: (2, 2), 9: (4, 4), 10: (8, 4), 11: (4, 4), 12: (8, 8)}

_PREFIX = b"Exif\0\0"
_LONGEST = 65_500  # no JPEG holds a larger block


class TiffEntry(NamedTuple):
    """One entry of a directory; its value in little-endian order, the offset resolved."""

    kind: int
    length: int
    value: bytes


Directory = dict[int, TiffEntry]


def read_tiff_metadata(path: Path) -> tuple[bytes | None, bytes | None]:
    """Return EXIF, as a block for other formats, and IPTC of a TIFF file; None for what it lacks."""
    with path.open("rb") as file:
        first, exif, gps = _read(file)
    iptc = first[_IPTC].value if _IPTC in first else None
    photo = {tag: first[tag] for tag in _ABOUT_PHOTO if tag in first}
    if not (photo or exif or gps):
        return None, iptc
    packed, start = _pack(photo, exif, gps, at=8)
    block = _PREFIX + struct.pack("<2sHI", b"II", 42, start) + packed
    return (block if len(block) <= _LONGEST else None), iptc


def scaled_areas(block: bytes, across: float, down: float) -> bytes:
    """Return a block of EXIF with the position and size of its subject, which are in pixels, scaled with the image."""
    data = bytearray(block)
    start = len(_PREFIX) if block.startswith(_PREFIX) else 0
    order = "<" if block[start : start + 2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(order + "I", data, start + 4)
        for _, exif in _places(data, order, start, first, {_EXIF}):
            (at,) = struct.unpack_from(order + "I", data, exif)
            for length, place in _places(data, order, start, at, _AREAS):
                values = struct.unpack_from(f"{order}{length}H", data, place)
                factors = (across, down, across, down)
                scaled = (min(0xFFFF, round(value * by)) for value, by in zip(values, factors, strict=False))
                struct.pack_into(f"{order}{length}H", data, place, *scaled)
    except struct.error:
        return block
    return bytes(data)


def _places(data: bytearray, order: str, start: int, at: int, tags: Collection[int]) -> Iterator[tuple[int, int]]:
    """Yield the number of values, and where they lie, of entries of a directory with 2 or 4 bytes a value."""
    (count,) = struct.unpack_from(order + "H", data, start + at)
    for position in range(start + at + 2, start + at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", data, position)
        if tag in tags and length <= 4 and kind in (_SHORT, _LONG):
            inline = length * (2 if kind == _SHORT else 4) <= 4
            offset = position + 8 if inline else start + struct.unpack_from(order + "I", data, position + 8)[0]
            yield length, offset


def exif_tags(block: bytes) -> set[tuple[str, int]]:
    """Return the tags of a block of EXIF, each with ``EXIF`` or ``GPS`` for its directory; none of a damaged block."""
    try:
        first, exif, gps = _read(io.BytesIO(block.removeprefix(_PREFIX)))
    except (struct.error, ValueError):
        return set()
    return {("EXIF", tag) for tag in (*first, *exif)} | {("GPS", tag) for tag in gps}


def tiff_rationals(path: Path, tag: int) -> tuple[float, ...]:
    """Return the fractions under a tag of the first directory; none if it is absent, or has a zero below."""
    with path.open("rb") as file:
        entry = _read(file)[0].get(tag)
    if entry is None or entry.kind != _RATIONAL:
        return ()
    above, below = np.frombuffer(entry.value, "<u4").astype(float).reshape(-1, 2).T
    return tuple((above / below).tolist()) if below.all() else ()


def append_tiff_metadata(path: Path, block: bytes | None, iptc: bytes | None, width: int, height: int) -> None:
    """Add a block of EXIF, with the new size in pixels, and IPTC to a little-endian TIFF (no BigTIFF).

    The directory of the image is copied to the end of the file, where it has room to grow.
    """
    first, exif, gps = _read(io.BytesIO((block or b"").removeprefix(_PREFIX)))
    added = {tag: first[tag] for tag in _ABOUT_PHOTO if tag in first}
    if iptc:
        added[_IPTC] = TiffEntry(_UNDEFINED, len(iptc), iptc)
    for tag, side in ((_WIDTH, width), (_HEIGHT, height)):
        if tag in exif:
            exif[tag] = TiffEntry(_LONG, 1, struct.pack("<I", side))
    with path.open("r+b") as file:
        image, _, _ = _read(file)
        at = _even(file.seek(0, io.SEEK_END))
        packed, start = _pack(added | image, exif, gps, at)
        file.seek(at)
        file.write(packed)
        file.seek(4)
        file.write(struct.pack("<I", start))


def _read(file: BinaryIO) -> tuple[Directory, Directory, Directory]:
    """Return the first directory, and those of EXIF and GPS that it points to; all empty for a BigTIFF."""
    head = file.read(8)
    order = "<" if head[:2] == b"II" else ">"
    if len(head) < 8 or struct.unpack_from(order + "H", head, 2) != (42,):
        return {}, {}, {}
    first = _read_directory(file, order, struct.unpack_from(order + "I", head, 4)[0])
    exif, gps = (
        _read_directory(file, order, int.from_bytes(first[tag].value[:4], "little")) if tag in first else {}
        for tag in (_EXIF, _GPS)
    )
    exif.pop(_INTEROPERABILITY, None)  # the offset of one more directory, which is not followed
    return first, exif, gps


def _read_directory(file: BinaryIO, order: str, start: int) -> Directory:
    """Read the directory at ``start``; entries that are cut off or of unknown types are left out."""
    end = file.seek(0, io.SEEK_END)
    file.seek(start)
    (count,) = struct.unpack(order + "H", file.read(2).ljust(2, b"\0"))
    table = file.read(12 * count)
    directory: Directory = {}
    for position in range(0, len(table) - 11, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", table, position)
        size, word = _TYPES.get(kind, (0, 1))
        if tag == _IPTC:
            word = 1  # bytes, though Adobe declares them as LONG
        value = table[position + 8 : position + 8 + size * length]
        if size * length > 4:
            (offset,) = struct.unpack_from(order + "I", table, position + 8)
            file.seek(offset)
            value = file.read(size * length) if offset + size * length <= end else b""
        if value:
            words = np.frombuffer(value, f"{order}u{word}").astype(f"<u{word}")
            directory[tag] = TiffEntry(kind, length, words.tobytes())
    return directory


def _pack(first: Directory, exif: Directory, gps: Directory, at: int) -> tuple[bytes, int]:
    """Lay out three directories from offset ``at`` on; also returns the offset of the first one."""
    packed = b""
    for tag, directory in ((_EXIF, exif), (_GPS, gps)):
        if directory:
            first = first | {tag: TiffEntry(_LONG, 1, struct.pack("<I", at + len(packed)))}
            packed += _pack_directory(directory, at + len(packed))
    return packed + _pack_directory(first, at + len(packed)), at + len(packed)


def _pack_directory(directory: Directory, at: int) -> bytes:
    table = struct.pack("<H", len(directory))
    values = b""
    values_at = at + _even(2 + 12 * len(directory) + 4)
    for tag, entry in sorted(directory.items()):
        table += struct.pack("<HHI", tag, entry.kind, entry.length)
        if len(entry.value) <= 4:
            table += entry.value.ljust(4, b"\0")
        else:
            table += struct.pack("<I", values_at + len(values))
            values += entry.value.ljust(_even(len(entry.value)), b"\0")
    return table + b"\0\0\0\0" + values


def _even(length: int) -> int:
    return length + length % 2
