"""Read blocks of EXIF, and change them in place.

Nothing in a block may move: maker notes of Sony, Panasonic, Canon and others hold offsets from its begin, and nobody
finds a lens or a focus point in notes that were moved. libvips writes all of a block anew.
"""

import io
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pipeline.images.tiff_metadata import EXIF_PREFIX, ColourSpace, colour_space_of, read_directories

_EXIF, _INTEROPERABILITY, _ORIENTATION = 0x8769, 0xA005, 0x0112
_IMAGE_SIZE, _PIXEL_SIZE = (0x0100, 0x0101), (0xA002, 0xA003)
_AREAS = (0x9214, 0xA214)  # SubjectArea: a point, a circle or a rectangle; SubjectLocation
_FOCAL_PLANE = (0xA20E, 0xA20F)  # pixels per inch or centimetre of the sensor, horizontal and vertical
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_BYTES = {_SHORT: 2, _LONG: 4, _RATIONAL: 8}


def exif_tags(block: bytes) -> set[tuple[str, int]]:
    """Return the tags of a block of EXIF, each with ``EXIF`` or ``GPS`` for its directory; none of a damaged block."""
    try:
        first, exif, gps = read_directories(io.BytesIO(block.removeprefix(EXIF_PREFIX)))
    except (struct.error, ValueError):
        return set()
    named = {("EXIF", tag) for tag in (*first, *exif)} | {("GPS", tag) for tag in gps}
    return named - {("EXIF", _INTEROPERABILITY)}


def exif_orientation(block: bytes) -> int:
    """Return the orientation, 1 to 8, in a block of EXIF; 1 if it has none."""
    try:
        entry = read_directories(io.BytesIO(block.removeprefix(EXIF_PREFIX)))[0].get(_ORIENTATION)
    except (struct.error, ValueError):
        return 1
    value = 1 if entry is None else int.from_bytes(entry.value[:2], "little")
    return value if 1 <= value <= 8 else 1


def exif_colour_space(block: bytes) -> ColourSpace:
    """Return the colour space that a block of EXIF names, as of `colour_space_of`; None of a damaged block."""
    try:
        return colour_space_of(io.BytesIO(block.removeprefix(EXIF_PREFIX)))
    except (struct.error, ValueError):
        return None


def updated_exif(block: bytes, old: tuple[int, int], new: tuple[int, int]) -> bytes | None:
    """Return a block as it describes the result: upright, without a thumbnail, in the new size what is in pixels.

    Args:
        block: EXIF of the original.
        old: Width and height of the original, upright.
        new: Width and height of the result.

    Returns:
        The block, in which nothing has moved; None for a damaged one.
    """
    changed = _Block(block)
    try:
        (first,) = changed.read("I", 4)
        changed.set(first, {_ORIENTATION: 1, **dict(zip(_IMAGE_SIZE, new, strict=True))})
        for at in [changed.read("I", entry.at + 8)[0] for entry in changed.entries(first) if entry.tag == _EXIF]:
            changed.set(at, dict(zip(_PIXEL_SIZE, new, strict=True)))
            changed.scale(at, new[0] / old[0], new[1] / old[1])
        changed.drop_thumbnail(first)
    except struct.error:
        return None
    result = bytes(changed.data)
    return result if exif_orientation(result) == 1 else None


class _Entry(NamedTuple):
    at: int
    tag: int
    kind: int
    length: int


class _Block:
    """A block that is changed in place; offsets are from its begin.

    Raises:
        struct.error: by all methods, where the block ends too early.
    """

    def __init__(self, block: bytes) -> None:
        self._start = len(EXIF_PREFIX) if block.startswith(EXIF_PREFIX) else 0
        self._order = "<" if block[self._start : self._start + 2] == b"II" else ">"
        self.data = bytearray(block)

    def read(self, types: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + types, self.data, self._start + at)

    def write(self, types: str, at: int, *values: int) -> None:
        struct.pack_into(self._order + types, self.data, self._start + at, *values)

    def entries(self, directory: int) -> Iterator[_Entry]:
        (count,) = self.read("H", directory)
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            yield _Entry(at, *self.read("HHI", at))

    def set(self, directory: int, values: Mapping[int, int]) -> None:
        """Set single whole numbers, where they are there."""
        for entry in self.entries(directory):
            if entry.tag in values and entry.length == 1 and entry.kind in (_SHORT, _LONG):
                short = entry.kind == _SHORT and values[entry.tag] < 2**16
                self.write("H", entry.at + 2, _SHORT if short else _LONG)
                self.write("H2x" if short else "I", entry.at + 8, values[entry.tag])

    def scale(self, directory: int, across: float, down: float) -> None:
        """Scale the position and size of the subject, and the pixels of the sensor."""
        for entry in self.entries(directory):
            if entry.tag in _AREAS and entry.length <= 4 and entry.kind in (_SHORT, _LONG):
                types = f"{entry.length}{'H' if entry.kind == _SHORT else 'I'}"
                values = zip(self.read(types, self._place(entry)), (across, down) * 2, strict=False)
                largest = 2 ** (8 * _BYTES[entry.kind]) - 1
                self.write(types, self._place(entry), *(min(largest, round(value * by)) for value, by in values))
            elif entry.tag in _FOCAL_PLANE and entry.length == 1 and entry.kind == _RATIONAL:
                by = across if entry.tag == _FOCAL_PLANE[0] else down
                (pixels,) = self.read("I", self._place(entry))
                self.write("I", self._place(entry), min(2**32 - 1, round(pixels * by)))

    def drop_thumbnail(self, directory: int) -> None:
        """Unlink the second directory; cut the thumbnail off where it ends the block, as it nearly always does."""
        link = directory + 2 + 12 * self.read("H", directory)[0]
        (second,) = self.read("I", link)
        if not second:
            return
        tags = (_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH)
        found = {entry.tag: self.read("I", entry.at + 8)[0] for entry in self.entries(second) if entry.tag in tags}
        self.write("I", link, 0)
        if len(found) == 2 and self._start + sum(found.values()) >= len(self.data) - 1:
            del self.data[self._start + found[_THUMBNAIL_OFFSET] :]

    def _place(self, entry: _Entry) -> int:
        inline = entry.length * _BYTES[entry.kind] <= 4
        return entry.at + 8 if inline else self.read("I", entry.at + 8)[0]
