"""Read and write EXIF and IPTC of TIFF files: libvips 8.18 ignores the first, and cuts the second to a quarter.

A block of EXIF (``exif_block``) is itself a small TIFF: directories of entries (tag, type, count, value), where a value
of more than four bytes is replaced by its offset. In a TIFF file the image's own directory points to the same ones.
"""

import io
import struct
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from pipeline.tiling import round_up

_IPTC, _EXIF, _GPS, _INTEROPERABILITY = 0x83BB, 0x8769, 0x8825, 0xA005
_WIDTH, _HEIGHT = 0xA002, 0xA003
_SHORT, _LONG, _RATIONAL, _UNDEFINED, _FLOAT = 3, 4, 5, 7, 11

# Names of document and page, description, make, model, software, date, artist, host, rating, copyright, and the texts
# of Windows: the others describe the pixels of the file.
ABOUT_PHOTO = (
    *(0x010D, 0x010E, 0x010F, 0x0110, 0x011D, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298),
    *(0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),
)
_COLOUR_SPACE, _INDEX = 0xA001, 0x0001

# By type: bytes of one value, and of the words in it that have a byte order.
_TYPES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1)}
_TYPES |= {8: (2, 2), 9: (4, 4), 10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4), 16: (8, 8), 18: (8, 8)}

EXIF_PREFIX = b"Exif\0\0"
LONGEST_EXIF = 65_500  # no JPEG holds a larger block
_MOST_ENTRIES = 2**16

ColourSpace = Literal["Adobe RGB", "uncalibrated"] | None


class _Layout(NamedTuple):
    """How a file stores its directories.

    Args:
        order: Of bytes, as in ``struct``.
        number: Type of the number of entries.
        offset: Type of offsets and of what an entry holds in itself.
    """

    order: str
    number: str
    offset: str

    @property
    def inline(self) -> int:
        """Bytes that an entry holds in itself."""
        return struct.calcsize(self.offset)


class TiffEntry(NamedTuple):
    """One entry of a directory; its value in little-endian order, the offset resolved."""

    kind: int
    length: int
    value: bytes


Directory = dict[int, TiffEntry]


def read_tiff_metadata(path: Path) -> tuple[bytes | None, bytes | None]:
    """Return EXIF, as a block for other formats, and IPTC of a TIFF file; None for what it lacks."""
    with path.open("rb") as file:
        first, exif, gps = read_directories(file)
    iptc = first[_IPTC].value if _IPTC in first else None
    photo = {tag: first[tag] for tag in ABOUT_PHOTO if tag in first}
    if not (photo or exif or gps):
        return None, iptc
    packed, start = _pack(photo, exif, gps, at=8)
    block = EXIF_PREFIX + struct.pack("<2sHI", b"II", 42, start) + packed
    return (block if len(block) <= LONGEST_EXIF else None), iptc


def colour_space_of(file: BinaryIO) -> ColourSpace:
    """Return which colour space the EXIF of a TIFF file names: Adobe RGB by the index R03 (DCF 2.0), or by number 2.

    Many cameras embed no profile with it. sRGB is none.
    """
    layout = _layout_of(file)
    _, exif, _ = read_directories(file)
    space = exif[_COLOUR_SPACE].value[:2] if _COLOUR_SPACE in exif else b""
    index = b""
    if layout is not None and _INTEROPERABILITY in exif:
        directory = _read_directory(file, layout, _offset(exif[_INTEROPERABILITY]))
        index = directory[_INDEX].value[:3] if _INDEX in directory else b""
    if space == b"\2\0" or index == b"R03":
        return "Adobe RGB"
    return "uncalibrated" if space == b"\xff\xff" and index != b"R98" else None


def tiff_values(path: Path, tag: int) -> tuple[float, ...]:
    """Return the fractions, floats or whole numbers under a tag of the first directory; none if it is damaged."""
    with path.open("rb") as file:
        entry = read_directories(file)[0].get(tag)
    if entry is None or entry.kind not in (_SHORT, _RATIONAL, _FLOAT):
        return ()
    if entry.kind != _RATIONAL:
        return tuple(np.frombuffer(entry.value, "<u2" if entry.kind == _SHORT else "<f4").tolist())
    above, below = np.frombuffer(entry.value, "<u4").astype(float).reshape(-1, 2).T
    return tuple((above / below).tolist()) if below.all() else ()


def append_tiff_metadata(path: Path, block: bytes | None, iptc: bytes | None, width: int, height: int) -> None:
    """Add a block of EXIF, with the new size in pixels, and IPTC to a little-endian TIFF (no BigTIFF).

    The directory of the image is copied to the end of the file, where it has room to grow.
    """
    first, exif, gps = read_directories(io.BytesIO((block or b"").removeprefix(EXIF_PREFIX)))
    added = {tag: first[tag] for tag in ABOUT_PHOTO if tag in first}
    if iptc:
        added[_IPTC] = TiffEntry(_UNDEFINED, len(iptc), iptc)
    for tag, side in ((_WIDTH, width), (_HEIGHT, height)):
        if tag in exif:
            exif[tag] = TiffEntry(_LONG, 1, struct.pack("<I", side))
    with path.open("r+b") as file:
        image, _, _ = read_directories(file)
        at = round_up(file.seek(0, io.SEEK_END), 2)
        packed, start = _pack(added | image, exif, gps, at)
        file.seek(at)
        file.write(packed)
        file.seek(4)
        file.write(struct.pack("<I", start))


def read_directories(file: BinaryIO) -> tuple[Directory, Directory, Directory]:
    """Return the first directory, and those of EXIF and GPS that it points to."""
    layout = _layout_of(file)
    if layout is None:
        return {}, {}, {}
    file.seek(layout.inline)  # 4, in BigTIFF 8
    (start,) = struct.unpack(layout.order + layout.offset, file.read(layout.inline).ljust(layout.inline, b"\0"))
    first = _read_directory(file, layout, start)
    exif, gps = (_read_directory(file, layout, _offset(first[tag])) if tag in first else {} for tag in (_EXIF, _GPS))
    return first, exif, gps


def _layout_of(file: BinaryIO) -> _Layout | None:
    file.seek(0)
    head = file.read(4)
    order = "<" if head[:2] == b"II" else ">"
    version = struct.unpack_from(order + "H", head, 2)[0] if len(head) == 4 else 0
    return {42: _Layout(order, "H", "I"), 43: _Layout(order, "Q", "Q")}.get(version)


def _offset(entry: TiffEntry) -> int:
    return int.from_bytes(entry.value[:8], "little")


def _read_directory(file: BinaryIO, layout: _Layout, start: int) -> Directory:
    """Read the directory at ``start``; entries that are cut off or of unknown types are left out."""
    end = file.seek(0, io.SEEK_END)
    if start >= end:
        return {}
    file.seek(start)
    size = struct.calcsize(layout.number)
    (count,) = struct.unpack(layout.order + layout.number, file.read(size).ljust(size, b"\0"))
    heads = struct.Struct(f"{layout.order}HH{layout.offset}{layout.inline}s")
    table = file.read(min(count, _MOST_ENTRIES) * heads.size)
    directory: Directory = {}
    for tag, kind, length, inline in heads.iter_unpack(table[: len(table) // heads.size * heads.size]):
        size, word = _TYPES.get(kind, (0, 1))
        value = _value_of(file, layout, size * length, inline, end)
        if value:
            # Of IPTC bytes, though Adobe declares them as LONG.
            words = np.frombuffer(value, f"{layout.order}u{1 if tag == _IPTC else word}")
            directory[tag] = TiffEntry(kind, length, words.astype(words.dtype.newbyteorder("<")).tobytes())
    return directory


def _value_of(file: BinaryIO, layout: _Layout, size: int, inline: bytes, end: int) -> bytes:
    """Return an entry's values: the bytes in it, or those that it points to; none if they are cut off."""
    if size <= layout.inline:
        return inline[:size]
    (offset,) = struct.unpack(layout.order + layout.offset, inline)
    if offset + size > end:
        return b""
    file.seek(offset)
    return file.read(size)


def _pack(first: Directory, exif: Directory, gps: Directory, at: int) -> tuple[bytes, int]:
    """Lay out three directories from offset ``at`` on; also returns the offset of the first one."""
    packed = b""
    exif.pop(_INTEROPERABILITY, None)  # the offset of one more directory
    for tag, directory in ((_EXIF, exif), (_GPS, gps)):
        if directory:
            first = first | {tag: TiffEntry(_LONG, 1, struct.pack("<I", at + len(packed)))}
            packed += _pack_directory(directory, at + len(packed))
    return packed + _pack_directory(first, at + len(packed)), at + len(packed)


def _pack_directory(directory: Directory, at: int) -> bytes:
    table = struct.pack("<H", len(directory))
    values = b""
    values_at = at + round_up(2 + 12 * len(directory) + 4, 2)
    for tag, entry in sorted(directory.items()):
        table += struct.pack("<HHI", tag, entry.kind, entry.length)
        if len(entry.value) <= 4:
            table += entry.value.ljust(4, b"\0")
        else:
            table += struct.pack("<I", values_at + len(values))
            values += entry.value.ljust(round_up(len(entry.value), 2), b"\0")
    return table + b"\0\0\0\0" + values
