"""Damage files at random, the same way for the same seed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

# Lengths, sizes and counts at which arithmetic overflows, in 1, 2, 4 or 8 bytes of either order.
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1)
_HEADER = 256
_PNG = b"\x89PNG\r\n\x1a\n"


def flip_bits(data: bytearray, random: Random) -> None:
    """Flip up to eight bits; half of the times in the header."""
    for _ in range(random.randint(1, 8)):
        data[_place(data, random)] ^= 1 << random.randrange(8)


def set_number(data: bytearray, random: Random) -> None:
    """Replace bytes, such as a length or an offset, by an extreme number."""
    size = random.choice((1, 2, 4, 8))
    number = random.choice([*_NUMBERS, len(data), random.randrange(2**16)]) % 256**size
    place = _place(data, random)
    data[place : place + size] = number.to_bytes(size, random.choice(("big", "little")))


def truncate(data: bytearray, random: Random) -> None:
    """Cut off the end."""
    del data[random.randrange(1, len(data)) :]


def cut_out(data: bytearray, random: Random) -> None:
    """Remove a block."""
    start, end = _block(data, random)
    del data[start:end]


def repeat(data: bytearray, random: Random) -> None:
    """Insert a copy of a block elsewhere."""
    start, end = _block(data, random)
    place = random.randrange(len(data) + 1)
    data[place:place] = data[start:end]


def overwrite(data: bytearray, random: Random) -> None:
    """Overwrite a block by zeros, ones or noise."""
    start, end = _block(data, random)
    filling = random.choice((b"\0" * (end - start), b"\xff" * (end - start), random.randbytes(end - start)))
    data[start:end] = filling


def append(data: bytearray, random: Random) -> None:
    """Append noise."""
    data += random.randbytes(random.randint(1, 64))


MUTATIONS: tuple[Callable[[bytearray, Random], None], ...] = (
    flip_bits,
    set_number,
    truncate,
    cut_out,
    repeat,
    overwrite,
    append,
)


def mutate(data: bytes, random: Random) -> tuple[bytes, tuple[str, ...]]:
    """Damage a file once to three times; returns it with the names of what was done.

    The checksums of half of the PNG files are made valid again, so that decoders look at what is behind them.
    """
    mutated, names = bytearray(data), []
    for _ in range(random.choice((1, 1, 2, 3))):
        mutation = random.choice(MUTATIONS)
        mutation(mutated, random)
        names.append(mutation.__name__)
        if len(mutated) < 2:
            break
    if data.startswith(_PNG) and random.random() < 0.5:
        return with_valid_checksums(bytes(mutated)), (*names, "checksums")
    return bytes(mutated), tuple(names)


def with_valid_checksums(png: bytes) -> bytes:
    """Return a PNG file whose chunks, as far as their lengths lead, have the checksums of their data."""
    data, place = bytearray(png), len(_PNG)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(data)


def _place(data: bytearray, random: Random) -> int:
    return random.randrange(min(len(data), _HEADER) if random.random() < 0.5 else len(data))


def _block(data: bytearray, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, min(len(data), start + random.choice((1, 4, 16, 64, 512)))
