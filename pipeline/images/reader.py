"""Read image files: by libvips, or by OpenCV in the few formats that libvips lacks."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.errors import BrokenImage, RefusedImage
from pipeline.images.beside import beside_raster, beside_the_image
from pipeline.images.bmp import resolution_of_bmp
from pipeline.images.colour import FileColour, exif_colour, find_colour
from pipeline.images.damage import broken_image
from pipeline.images.formats import Format
from pipeline.images.gif_parts import gif_parts, transparent_around
from pipeline.images.icc import BROKEN_PROFILE, usable_profile
from pipeline.images.image_file import ImageFile
from pipeline.images.jpeg_parts import JpegParts, jpeg_parts
from pipeline.images.kinds import check_size, format_of, is_lossless_webp
from pipeline.images.libvips import run_vips, vips_errors_as
from pipeline.images.libvips_decoder import decode_still, open_image, upright_size
from pipeline.images.metadata import USUAL_RESOLUTION, Metadata, collect, read_png_texts, upright
from pipeline.images.opencv_decoder import decode, header_of
from pipeline.images.second_decoder import confirm_uniform
from pipeline.images.tiff_metadata import read_tiff_metadata
from pipeline.images.tiff_pages import find_tiff_image
from pipeline.images.xmp import without_beside
from pipeline.pixels import Pixels

# Above the largest photos of phones and medium format (200 megapixels): 2 GiB with alpha and 16 bits.
# The header of a file of a few bytes can claim any size.
PIXEL_LIMIT = 2**28

_HEAD_BYTES = 2**16


def read_image(path: Path, max_pixels: int = PIXEL_LIMIT) -> ImageFile:
    """Read one still image; the format follows from the content, not from the suffix.

    Args:
        path: The file.
        max_pixels: More are refused before they are decoded.

    Raises:
        RefusedImage: for animations, several pages, too many pixels, and kinds that are not restored.
        BrokenImage: for what is no image, is damaged or cut off; no image is returned half decoded.
    """
    try:
        source, head = _identify(path)
        if source.name == "JPEG":
            return _read_jpeg(path, max_pixels)
        if source.loader is not None:
            return _read_by_libvips(path, source.name, source.loader, max_pixels)
        return _read_by_opencv(path, source.name, head, max_pixels)
    except OSError as error:
        raise BrokenImage(f"cannot be read: {error.strerror or error}") from error


def read_metadata(path: Path) -> Metadata:
    """Return the metadata of a file in a format that is written, without decoding its pixels.

    Raises:
        ImageError: as from ``read_image``, for what the header shows.
    """
    source, _ = _identify(path)
    loader = source.loader
    assert loader is not None
    with vips_errors_as(partial(broken_image, path, source.name)):
        metadata = run_vips(lambda: collect(open_image(path, loader)))
    metadata = _with_tiff_blocks(path, source.name, metadata)
    parts = jpeg_parts(path) if source.name == "JPEG" else None
    return _with_parts(path, source.name, metadata, parts)[0]


def _with_tiff_blocks(path: Path, name: str, metadata: Metadata) -> Metadata:
    """Replace EXIF and IPTC of a TIFF, which libvips does not read as they are."""
    if name != "TIFF":
        return metadata
    exif, iptc = read_tiff_metadata(path)
    return replace(metadata, exif=exif, iptc=iptc)


def read_size(path: Path) -> tuple[int, int]:
    """Return width and height of an upright image by its header.

    Raises:
        ImageError: as from ``read_image``, for what the header shows.
    """
    try:
        source, head = _identify(path)
        if source.loader is None:
            header = header_of(source.name, head)
            return header.width, header.height
        with vips_errors_as(partial(broken_image, path, source.name)):
            return run_vips(partial(upright_size, path, source.loader))
    except OSError as error:
        raise BrokenImage(f"cannot be read: {error.strerror or error}") from error


def _identify(path: Path) -> tuple[Format, bytes]:
    """Return the format of a file and its first bytes."""
    if not path.is_file():
        raise BrokenImage("is not a file, or a link to nothing")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise BrokenImage("is empty", "cut off")
    if not any(head):
        raise BrokenImage("begins with nothing but zeros, as after a failed copy or recovery; take it from a backup")
    source = format_of(head)
    if source is None:
        raise BrokenImage(f"is not an image of a known format, it begins with {head[:16]!r}", "unsupported")
    if source.refusal is not None:
        raise RefusedImage(source.refusal)
    return source, head


def _read_by_opencv(path: Path, name: str, head: bytes, max_pixels: int) -> ImageFile:
    header = header_of(name, head)
    check_size(header.width, header.height, max_pixels)
    pixels = decode(path, name, header)
    unread = ("the metadata of a JPEG 2000 file is not carried",) if name == "JPEG 2000" else ()
    losses = (*unread, *beside_raster(path, header))
    gray = pixels.ndim == 2
    resolution = (resolution_of_bmp(head) if name == "BMP" else None) or USUAL_RESOLUTION
    metadata, notes, lost_colours = _with_colour(Metadata(resolution=resolution), find_colour(path, name, gray=gray))
    return _image_file(np.atleast_3d(pixels), metadata, notes, losses + lost_colours)


def _with_colour(metadata: Metadata, colour: FileColour | None) -> tuple[Metadata, tuple[str, ...], tuple[str, ...]]:
    """Add an ICC profile for colours that a file defines otherwise, and remove a broken one.

    Also returns notes and losses.
    """
    icc, notes, losses = metadata.icc, [], []
    if colour is not None and (icc is None or colour.overrides):
        icc = colour.icc or icc
        if colour.problem:
            losses.append(f"the colour space ({colour.source}) is not carried: {colour.problem}")
        elif colour.icc:
            notes.append(f"the colour space ({colour.source}) is carried as an ICC profile")
        elif colour.note:
            notes.append(colour.note)
    usable = None if icc is None else usable_profile(icc)
    if icc is not None and usable is None:
        notes, losses = [], [*losses, BROKEN_PROFILE]
    return replace(metadata, icc=usable), tuple(notes), tuple(losses)


def _read_jpeg(path: Path, max_pixels: int) -> ImageFile:
    """Refuse a JPEG of which parts are missing, for which libjpeg but warns; its other warnings are harmless."""
    try:
        return _read_by_libvips(path, "JPEG", "jpegload", max_pixels, fail_on="warning")
    except BrokenImage as error:
        if error.reason == "cut off":
            raise
        return _read_by_libvips(path, "JPEG", "jpegload", max_pixels)


def _read_by_libvips(path: Path, name: str, loader: str, max_pixels: int, fail_on: str = "error") -> ImageFile:
    tiff = find_tiff_image(path) if name == "TIFF" else None
    with vips_errors_as(partial(broken_image, path, name)):
        decoded = run_vips(lambda: decode_still(path, name, loader, fail_on, max_pixels, tiff))
    metadata = _with_tiff_blocks(path, name, decoded.metadata)
    gray = decoded.pixels.shape[2] < 3
    colour = find_colour(path, name, gray=gray) or exif_colour(metadata.exif, gray=gray)
    metadata, colour_notes, lost_colours = _with_colour(metadata, colour)
    parts = jpeg_parts(path) if name == "JPEG" else None
    metadata, left_behind = _with_parts(path, name, metadata, parts)
    notes = decoded.notes + colour_notes
    if name != "PNG":  # whose checksums confirm it, and whose data behind the pixels a second decoder would unpack
        notes += confirm_uniform(path, decoded.pixels)
    losses = left_behind + decoded.losses + lost_colours + (() if tiff is None else tiff.losses)
    pixels = _upright(decoded.pixels, decoded.orientation)
    if name == "GIF" and (frame := gif_parts(path).frame):
        pixels = transparent_around(pixels, frame)
    metadata = replace(metadata, size=(pixels.shape[1], pixels.shape[0]))
    read = _image_file(pixels, metadata, notes, losses)
    lossless = name == "WebP" and is_lossless_webp(path)
    return replace(read, bits=decoded.bits, lossless=lossless, luma_table=parts.luma_table if parts else ())


def _with_parts(path: Path, name: str, metadata: Metadata, parts: JpegParts | None) -> tuple[Metadata, tuple[str, ...]]:
    """Add texts and comments, which libvips does not read as they are, and note what stands beside the image."""
    losses: tuple[str, ...] = ()
    if name == "PNG":
        texts, losses = read_png_texts(path)
        metadata = replace(metadata, png_texts=texts)
    if parts is not None:
        metadata = replace(metadata, comments=parts.comments)
    if name == "GIF":
        gif = gif_parts(path)
        # No viewer turns a GIF by its XMP, but those of other formats do.
        metadata = replace(metadata, comments=gif.comments, xmp=None if gif.xmp is None else upright(gif.xmp))
    beside = beside_the_image(path, name) if parts is None else parts.beside
    losses += tuple(f"the {what} in the file is not carried" for what in beside)
    if metadata.xmp is not None and (cleaned := without_beside(metadata.xmp)) != metadata.xmp:
        metadata = replace(metadata, xmp=cleaned)
        losses += ("what XMP says of data beside the image (motion photo, gain map, extended XMP) is removed",)
    return metadata, losses


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation; 5 to 8 exchange width and height."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _image_file(pixels: Pixels, metadata: Metadata, notes: tuple[str, ...], losses: tuple[str, ...]) -> ImageFile:
    """Split ``(H, W, 1..4)`` into colours and alpha, and refuse what is neither gray nor RGB."""
    bands = pixels.shape[2]
    if pixels.dtype.name not in ("uint8", "uint16", "float32", "float64") or bands > 4:
        raise RefusedImage(
            f"holds {bands} channels of {pixels.dtype}, expected gray or RGB, with or without alpha, in 8 or 16 bit"
        )
    if pixels.dtype.kind == "f":
        pixels = _in_range(pixels)
    alpha = np.ascontiguousarray(pixels[..., -1]) if bands in (2, 4) else None
    colours = pixels[..., 0] if bands < 3 else pixels[..., :3]
    return ImageFile(np.ascontiguousarray(colours), alpha, metadata, notes, losses)


def _in_range(pixels: Pixels) -> Pixels:
    """Return floats in [0, 1] as float32; others are refused, because no file says what their white is."""
    low, high = pixels.min(), pixels.max()
    if not np.isfinite([low, high]).all():
        raise RefusedImage("holds floats that are no numbers (NaN) or infinite; replace them first")
    if not (low >= 0 and high <= 1):
        raise RefusedImage(
            f"holds floats from {low:g} to {high:g}, expected 0 to 1 in the brightness curve of a display; "
            "scale or tone-map them first"
        )
    return pixels.astype(np.float32, copy=False)
