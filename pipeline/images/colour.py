"""Find what defines the colours of a file besides an ICC profile, and turn it into one, which every format holds."""

import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import RefusedImage
from pipeline.images.exif_block import exif_colour_space
from pipeline.images.gif_parts import gif_parts
from pipeline.images.icc import SRGB_PRIMARIES, Curve, display_profile
from pipeline.images.kinds import png_chunks
from pipeline.images.tiff_metadata import ColourSpace, colour_space_of, tiff_values

_D65 = (0.3127, 0.3290)

# Code points of ITU-T H.273, as in cICP chunks and nclx boxes: x and y of red, green, blue and white.
_PRIMARIES: Mapping[int, tuple[float, ...]] = {
    1: SRGB_PRIMARIES,
    2: SRGB_PRIMARIES,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, *_D65),
    22: (0.63, 0.34, 0.295, 0.605, 0.155, 0.077, *_D65),
}
# Exponents; None for the curve of sRGB, with which viewers show stills in the curves of BT.709 and its kin, too.
_LIKE_SRGB = (1, 2, 6, 7, 13, 14, 15)
_GAMMAS: Mapping[int, float | None] = {**dict.fromkeys(_LIKE_SRGB), 4: 2.2, 5: 2.8, 8: 1.0}
_HDR = {16: "PQ", 18: "HLG"}
_ADOBE_RGB, _ADOBE_GAMMA = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65), 563 / 256

_AVIF_HEAD = 2**20
_SRGB_GAMMA = 1 / 0.45455


class FileColour(NamedTuple):
    """What a file says of its colours.

    Args:
        source: Name of the chunk, box or field.
        icc: As a profile; None where it is sRGB, or cannot be one.
        overrides: Whether it counts more than an ICC profile beside it.
        problem: Why it cannot be a profile.
        note: What else is to be said.
    """

    source: str
    icc: bytes | None = None
    overrides: bool = False
    problem: str = ""
    note: str = ""


def find_colour(path: Path, name: str, *, gray: bool) -> FileColour | None:
    """Return what a file of the format ``name`` says of its colours outside ICC profiles that libvips finds.

    Raises:
        RefusedImage: for HDR, whose values mean light beyond white, and limited range, whose black is not 0: a chain
            would take both for something else.
    """
    finders = {
        "PNG": _png_colour,
        "AVIF": _avif_colour,
        "BMP": _bmp_colour,
        "JPEG 2000": _jp2_colour,
        "TIFF": _tiff_colour,
        "GIF": _gif_colour,
    }
    finder = finders.get(name)
    return finder(path, gray) if finder else None


def exif_colour(exif: bytes | None, *, gray: bool) -> FileColour | None:
    """Return what a block of EXIF says of the colours, if they are not sRGB."""
    return _named(exif_colour_space(exif), gray) if exif else None


def _named(space: ColourSpace, gray: bool) -> FileColour | None:
    if space == "Adobe RGB":
        return _measured("EXIF, Adobe RGB", _ADOBE_RGB, _ADOBE_GAMMA, gray)
    if space == "uncalibrated" and not gray:
        return FileColour("EXIF", note="EXIF says that the colours are not sRGB, not which; they are taken for sRGB")
    return None


def _png_colour(path: Path, gray: bool) -> FileColour | None:
    chunks = dict(png_chunks(path, {b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"}))
    if len(cicp := chunks.get(b"cICP", b"")) == 4:
        if not cicp[3]:
            raise RefusedImage("is of limited range (cICP), expected black at 0 and white at 255; convert it first")
        return _coded("cICP", cicp[0], cicp[1], gray=gray, overrides=True)
    if b"iCCP" in chunks:
        return FileColour("iCCP", problem="its ICC profile is broken, or for other channels")  # libvips finds none
    if b"sRGB" in chunks:
        return FileColour("sRGB")  # whatever EXIF says
    gamma = int.from_bytes(chunks.get(b"gAMA", b"")[:4], "big") / 100_000
    found = chunks.get(b"cHRM", b"")
    white_first = [value / 100_000 for value in struct.unpack(">8I", found)] if len(found) == 32 else []
    primaries = (*white_first[2:], *white_first[:2])
    source = " and ".join(chunk for chunk, there in (("gAMA", gamma), ("cHRM", primaries)) if there)
    return _measured(source, primaries, 1 / gamma if gamma else None, gray) if source else None


def _avif_colour(path: Path, gray: bool) -> FileColour | None:
    with path.open("rb") as file:
        head = file.read(_AVIF_HEAD)
    found = re.search(rb"colrnclx(..)(..)", head, re.DOTALL)
    if found is None:
        return None if re.search(rb"colr(prof|rICC)", head) else _av1_colour(path, gray)
    primaries, transfer = (int.from_bytes(code, "big") for code in found.groups())
    return _coded("nclx", primaries, transfer, gray=gray)


def _av1_colour(path: Path, gray: bool) -> FileColour | None:
    """Return what the AV1 data of an AVIF say where its boxes say nothing."""
    import av

    only = {"format_whitelist": "mov", "protocol_whitelist": "file"}
    try:
        with av.open(str(path.absolute()), options=only, metadata_errors="replace") as file:
            context = file.streams.video[0].codec_context
            codes = int(context.color_primaries), int(context.color_trc)
    except (av.FFmpegError, IndexError):
        return None
    return None if codes == (2, 2) else _coded("AV1", *codes, gray=gray)


def _bmp_colour(path: Path, gray: bool) -> FileColour | None:
    with path.open("rb") as file:
        head = file.read(138)
        size = int.from_bytes(head[14:18], "little")
        space = head[70:74]
        if size >= 124 and space == b"DEBM":
            offset, length = struct.unpack_from("<II", head, 126)
            file.seek(14 + offset)
            return FileColour("BMP", file.read(min(length, 2**24)))
    if size >= 124 and space == b"KNIL":
        return FileColour("BMP", problem="the profile is a link to another file")
    if size < 108 or space != b"\0\0\0\0":
        return None
    triples = struct.unpack_from("<9i3I", head, 74)
    xyz = [triples[3 * row : 3 * row + 3] for row in range(3)]
    if any(sum(colour) <= 0 for colour in xyz) or not triples[10]:
        return None  # most writers leave this empty
    white = [sum(axis) for axis in zip(*xyz, strict=True)]
    primaries = tuple(colour[axis] / sum(colour) for colour in (*xyz, white) for axis in (0, 1))
    return _measured("BMP", primaries, triples[10] / 65536, gray)


def _jp2_colour(path: Path, gray: bool) -> FileColour | None:
    with path.open("rb") as file:
        head = file.read(_AVIF_HEAD)
    for found in re.finditer(rb"(.{4})colr([\2\3])..", head, re.DOTALL):
        length = int.from_bytes(found[1], "big") - 11
        if length > 0:
            return FileColour("JP2", head[found.end() : found.end() + length])
    return None


def _tiff_colour(path: Path, gray: bool) -> FileColour | None:
    white, primaries, samples = (tiff_values(path, tag) for tag in (318, 319, 301))
    curve = tuple(int(sample) for sample in samples[: 2**8])
    measured = (*primaries, *white) if len(white) == 2 and len(primaries) == 6 else ()
    if measured or len(curve) == 2**8:
        return _measured("TIFF chromaticities", measured, curve if len(curve) == 2**8 else None, gray)
    with path.open("rb") as file:
        return _named(colour_space_of(file), gray)


def _gif_colour(path: Path, gray: bool) -> FileColour | None:
    icc = gif_parts(path).icc
    return FileColour("GIF", icc) if icc else None


def _coded(source: str, primaries: int, transfer: int, *, gray: bool, overrides: bool = False) -> FileColour | None:
    if transfer in _HDR:
        raise RefusedImage(
            f"is HDR ({_HDR[transfer]}, {source}), expected the brightness curve of a display; tone-map it to SDR first"
        )
    if primaries not in _PRIMARIES or transfer not in _GAMMAS:
        return FileColour(source, problem=f"its code points {primaries}/{transfer} are not known")
    found = _measured(source, _PRIMARIES[primaries], _GAMMAS[transfer], gray)
    return found._replace(overrides=overrides and (primaries, transfer) != (2, 2))


def _measured(source: str, primaries: tuple[float, ...], gamma: Curve, gray: bool) -> FileColour:
    """Return a profile of measured primaries and gamma; none for sRGB, which is what viewers take by default."""
    if isinstance(gamma, float) and abs(gamma - _SRGB_GAMMA) < 0.02:
        gamma = None
    primaries = primaries or SRGB_PRIMARIES
    standard = all(abs(came - srgb) < 0.002 for came, srgb in zip(primaries, SRGB_PRIMARIES, strict=True))
    if gamma is None and (standard or gray):
        return FileColour(source)
    try:
        return FileColour(source, display_profile(primaries, gamma, gray=gray))
    except ValueError as error:
        return FileColour(source, problem=str(error))
