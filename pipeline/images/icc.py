"""Build ICC profiles of a display from primaries and a curve, and find out whether a profile is usable."""

import struct
from collections.abc import Sequence

import numpy as np

SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_MOST_TAGS = 100
_NEEDED = {b"GRAY": (b"kTRC",), b"RGB ": (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"), b"CMYK": (b"A2B0",)}
_COLOUR_TYPES = (b"XYZ ", b"curv", b"para", b"mft1", b"mft2", b"mAB ")

BROKEN_PROFILE = "the ICC profile is broken and not carried"

Curve = float | tuple[int, ...] | None
"""From values to light: an exponent, or samples of 0 to 65,535; None for the curve of sRGB."""


def display_profile(primaries: Sequence[float], gamma: Curve, *, gray: bool) -> bytes:
    """Return an ICC profile, version 4.

    Args:
        primaries: CIE x and y of red, green, blue and white.
        gamma: From values to light.
        gray: Whether the image is gray, for which the primaries do not matter.

    Raises:
        ValueError: for primaries that span no colours.
    """
    curve = _curve(gamma)
    tags = {b"desc": _text("RGB of the original" if not gray else "Gray of the original"), b"cprt": _text("CC0")}
    tags[b"wtpt"] = _xyz(_D50)
    if gray:
        tags[b"kTRC"] = curve
    else:
        adaptation, columns = _adapted_to_d50(primaries)
        tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(adaptation.ravel())
        for index, colour in enumerate(b"rgb"):
            tags[bytes([colour]) + b"XYZ"] = _xyz(columns[:, index])
            tags[bytes([colour]) + b"TRC"] = curve
    return _packed(tags, b"GRAY" if gray else b"RGB ")


def usable_profile(icc: bytes) -> bytes | None:
    """Return a profile without what follows its end; None if it is broken.

    libvips would take sRGB instead of a broken one, with no more than a warning on its log.
    """
    length, count = int.from_bytes(icc[:4], "big"), int.from_bytes(icc[128:132], "big")
    if not (132 < length <= len(icc) and icc[36:40] == b"acsp" and 0 < count <= _MOST_TAGS):
        return None
    table = icc[132 : 132 + 12 * count]
    tags = [struct.unpack_from(">4sII", table, at) for at in range(0, len(table) - 11, 12)]
    if len(tags) != count or any(start + size > length for _, start, size in tags):
        return None
    kinds = {name: icc[start : start + 4] for name, start, _ in tags}
    needed = _NEEDED.get(icc[16:20], ())
    if b"A2B0" in kinds:
        needed = (b"A2B0",)
    return icc[:length] if needed and all(kinds.get(name) in _COLOUR_TYPES for name in needed) else None


def _adapted_to_d50(primaries: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrices from the white of the display to D50, and from RGB to XYZ under D50."""
    x, y = np.array(primaries, float).reshape(4, 2).T
    if not (np.isfinite(x + y).all() and (y > 0).all()):
        raise ValueError("a chromaticity is not positive")
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    if abs(np.linalg.det(xyz[:, :3])) < 1e-3:
        raise ValueError("the primaries lie on a line")
    columns = xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ xyz[:, 3])
    adaptation = np.linalg.inv(_BRADFORD) @ (gains[:, None] * _BRADFORD)
    adapted = adaptation @ columns
    if not np.abs(adapted).max() < 10:
        raise ValueError("the primaries are out of range")
    return adaptation, adapted


def _packed(tags: dict[bytes, bytes], space: bytes) -> bytes:
    """Lay out header, table and tags; equal tags are stored once."""
    start = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    places: dict[bytes, int] = {}
    for name, value in tags.items():
        if value not in places:
            places[value] = start + len(data)
            data += value + b"\0" * (-len(value) % 4)
        table += struct.pack(">4sII", name, places[value], len(value))
    header = struct.pack(">I4sI4s4s4s", start + len(data), b"", 0x04300000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(_D50)
    return header.ljust(128, b"\0") + table + data


def _fixed(values: Sequence[float] | np.ndarray) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _xyz(values: Sequence[float] | np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _curve(gamma: Curve) -> bytes:
    if isinstance(gamma, tuple):
        return struct.pack(f">4s4xI{len(gamma)}H", b"curv", len(gamma), *gamma)
    return _parametric(3, _SRGB_CURVE) if gamma is None else _parametric(0, (gamma,))


def _parametric(kind: int, values: Sequence[float]) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(values)


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(data), 28) + data
