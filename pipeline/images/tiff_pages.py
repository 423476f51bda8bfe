"""Read the directories of a TIFF file: which page is the image, and what libvips would decode wrongly."""

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import RefusedImage
from pipeline.images.beside import CREDENTIALS
from pipeline.images.damage import TIFF_DAMAGE

# None, CCITT (three kinds), LZW, JPEG, deflate (two numbers), PackBits, WebP.
_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50001)
_OLD_JPEG = 6
_REDUCED, _MASK = 1, 4
_JPEG = 7
_DEPTHS = (1, 2, 4, 8, 16, 32)
_COLOURS = {"MINISWHITE": 1, "MINISBLACK": 1, "PALETTE": 1, "SEPARATED": 4}
_BESIDE = {37724: "layer data of Photoshop", 52545: CREDENTIALS}
# libvips takes the numbers of these for gray or RGB.
_REFUSED_COLOURS = {
    "CFA": "raw data of a sensor; develop it to a TIFF of RGB first",
    "LINEAR_RAW": "raw data of a sensor; develop it to a TIFF of RGB first",
    "ICCLAB": "colours in ICC Lab; save it again as RGB",
    "ITULAB": "colours in ITU Lab; save it again as RGB",
    "LOGL": "HDR values (LogL); tone-map it to SDR first",
    "LOGLUV": "HDR values (LogLuv); tone-map it to SDR first",
}
_GEO_TAGS = frozenset({33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113})
_MOST_PAGES = 1000

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # damage is reported by an error, not on stderr


class TiffImage(NamedTuple):
    """The one full image of a TIFF file.

    Args:
        page: Index of its page.
        extra: The number of its last channels that are neither colour nor alpha, such as infrared.
        losses: What is left behind.
    """

    page: int
    extra: int
    losses: tuple[str, ...]


def find_tiff_image(path: Path) -> TiffImage | None:
    """Return the full-resolution image among the pages of a TIFF file; None for a file with damaged directories.

    Raises:
        RefusedImage: for several full images, and for compression, colours and depths that libvips decodes wrongly.
    """
    from tifffile import TiffFile

    try:
        with TiffFile(path) as tiff:
            pages = [_tags(page) for page, _ in zip(tiff.pages, range(_MOST_PAGES), strict=False)]
    except TIFF_DAMAGE:
        return None
    if not pages:
        return None
    if len(pages) == 1 and 330 in pages[0] and _is_reduced(pages[0]):
        raise RefusedImage("holds a thumbnail and raw data; develop it to a TIFF of RGB first")
    full = _full_pages(pages)
    if len(full) != 1:
        raise RefusedImage(f"holds {len(pages)} images, expected a still image; save them one by one and restore those")
    tags = pages[full[0]]
    _refuse_undecodable(tags)
    extra = _unknown_channels(tags)
    return TiffImage(full[0], extra, _losses(pages, full[0], extra))


def _tags(page: Any) -> dict[int, Any]:
    """Return the values of a directory by tag; those of damaged tags, which should be one number, are left out."""
    single, several = {254, 255, 256, 257, 259, 277}, {258, 330, 338, *_GEO_TAGS}
    tags = {
        tag.code: tag.value
        for tag in page.tags
        if tag.code in several or (tag.code in single and isinstance(tag.value, int))
    }
    named = {tag.code: True for tag in page.tags if tag.code in _BESIDE}
    return {**tags, **named, 262: getattr(page.photometric, "name", "")}


def _full_pages(pages: Sequence[dict[int, Any]]) -> list[int]:
    """Return the indices of the pages that are neither thumbnails nor masks, nor levels of an unmarked pyramid."""
    full = [index for index, tags in enumerate(pages) if not _is_reduced(tags)]
    if len(pages) == 1:
        return [0]
    halved = all(_is_half(pages[larger], pages[smaller]) for larger, smaller in pairwise(full))
    return full[:1] if halved and len(full) > 1 else full


def _is_reduced(tags: dict[int, Any]) -> bool:
    return bool(int(tags.get(254, 0)) & (_REDUCED | _MASK)) or tags.get(255) == 2


def _is_half(larger: dict[int, Any], smaller: dict[int, Any]) -> bool:
    """Return whether both sides are halved, rounded either way, or quartered as in slide scanners."""
    return any(
        all(abs(larger.get(side, 0) / factor - smaller.get(side, 0)) < 1 for side in (256, 257)) for factor in (2, 4)
    )


def _refuse_undecodable(tags: dict[int, Any]) -> None:
    if tags.get(259) == _OLD_JPEG:
        raise RefusedImage(
            "is compressed by old-style JPEG in TIFF, which no decoder here reads reliably; "
            "save it again with another compression"
        )
    if tags.get(259, 1) not in _COMPRESSIONS:
        raise RefusedImage(
            f"is compressed by scheme {tags[259]} of TIFF, for which no decoder is included; save it again with another"
        )
    if tags[262] in _REFUSED_COLOURS:
        raise RefusedImage(f"holds {_REFUSED_COLOURS[tags[262]]}")
    if tags[262] == "YCBCR" and tags.get(259) != _JPEG:
        raise RefusedImage("holds colours in YCbCr without JPEG, which libvips takes for RGB; save it again as RGB")
    bits = tags.get(258, 1)
    for depth in bits if isinstance(bits, tuple) else (bits,):
        if depth not in _DEPTHS:
            raise RefusedImage(f"holds {depth} bits a channel, expected 8 or 16; save it again in 16 bit")


def _unknown_channels(tags: dict[int, Any]) -> int:
    """Return 1 if the last channel has no stated meaning (ExtraSamples 0), else 0; a file without the tag has alpha."""
    samples, colours = tags.get(277, 1), _COLOURS.get(tags[262], 3)
    if samples - colours > 1:
        raise RefusedImage(
            f"holds {samples} channels, of which {colours} {'are' if colours > 1 else 'is'} colour; expected gray or "
            "RGB, with or without alpha; save it without the others"
        )
    kinds = tags.get(338, 2)
    return int(samples > colours and not any(kinds if isinstance(kinds, tuple) else (kinds,)))


def _losses(pages: Sequence[dict[int, Any]], page: int, extra: int) -> tuple[str, ...]:
    tags, losses = pages[page], []
    if others := len(pages) - 1:
        losses.append(f"{others} smaller page{'s' * (others > 1)} (thumbnail, pyramid or mask) not carried")
    if 330 in tags:
        losses.append("further images in sub-directories (pyramid, raw data or layers) are not carried")
    if extra:
        losses.append("an extra channel that is not alpha (such as infrared) is not carried")
    if _GEO_TAGS & tags.keys():
        losses.append("GeoTIFF tags (position and scale on the map) are not carried")
    losses += (f"the {_BESIDE[code]} in the file is not carried" for code in _BESIDE.keys() & tags.keys())
    return tuple(losses)
