"""Read a written image back and name what of its metadata is missing there."""

from collections.abc import Sequence
from pathlib import Path

from tifffile import TIFF

from pipeline.images.exif_block import exif_tags
from pipeline.images.formats import ENCODERS
from pipeline.images.image_file import ImageFile
from pipeline.images.metadata import Metadata, blocks
from pipeline.images.reader import read_metadata

# They describe the pixels, or where blocks lie: size, resolution, orientation, sampling, offsets.
_OF_PIXELS = frozenset({0x100, 0x101, 0x112, 0x11A, 0x11B, 0x128, 0x213, 0x8769, 0x8825, 0xA002, 0xA003, 0xA005})
_NAMES = {"EXIF": (TIFF.TAGS, TIFF.EXIF_TAGS), "GPS": (TIFF.GPS_TAGS,)}


def missing_in(path: Path, image: ImageFile, known: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a line for each block and EXIF tag that a file should hold and does not.

    Args:
        path: The file that was written.
        image: What was written.
        known: What the writer has already named.
    """
    written = read_metadata(path)
    storable = {name for name in ENCODERS[path.suffix.lower()].metadata if not any(name in line for line in known)}
    lines = [
        f"{name} is missing in the result" for name in sorted((blocks(image.metadata) - blocks(written)) & storable)
    ]
    if image.metadata.icc is not None and written.icc is None and not any("ICC" in line for line in known):
        lines.append("the ICC profile is missing in the result")
    for name, before, after in (
        ("IPTC", image.metadata.iptc, written.iptc),
        ("PNG text", image.metadata.png_texts, written.png_texts),
        ("comment", image.metadata.comments, written.comments),
    ):
        if name in storable and after and before != after:
            lines.append(f"{name} differs in the result")
    return (*lines, *_missing_tags(image.metadata, written))


def _missing_tags(before: Metadata, after: Metadata) -> tuple[str, ...]:
    """Return one line on the EXIF tags that are missing, if there are other tags."""
    if before.exif is None or after.exif is None:
        return ()
    lost = sorted(exif_tags(before.exif) - exif_tags(after.exif))
    names = [_name(directory, tag) for directory, tag in lost if tag not in _OF_PIXELS]
    return (f"EXIF tags are missing in the result: {', '.join(names)}",) if names else ()


def _name(directory: str, tag: int) -> str:
    return next((str(table[tag]) for table in _NAMES[directory] if tag in table), f"{tag:#06x}")
