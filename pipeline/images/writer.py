"""Write image files; a write that fails leaves no partial file."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from pipeline.errors import BrokenImage, RefusedImage, needing_space
from pipeline.images.formats import ENCODERS, LOSSLESS_WEBP, Encoder
from pipeline.images.image_file import ImageFile
from pipeline.images.insertion import insert_jpeg_segments, insert_png_chunks
from pipeline.images.libvips import run_vips, vips_errors_as
from pipeline.images.metadata import Metadata, attach, blocks, exif_for
from pipeline.images.tiff_metadata import append_tiff_metadata
from pipeline.pixels import Pixels, white
from stages.atomic import written_whole

_EXIF_INSERTED = ("JPEG", "PNG")
_LARGEST_TIFF = 3 * 2**30  # offsets in a classic TIFF end at 4 GiB; noise may grow under compression


def write_image(path: Path, image: ImageFile) -> tuple[str, ...]:
    """Write an image in the format that the suffix names; the file appears whole or not at all.

    Returns:
        What the format cannot hold, a line each: bits, blocks of metadata.

    Raises:
        RefusedImage: if the format cannot hold the image, see ``check_target``.
        BrokenImage: if the file cannot be written; a file that was there stays as it was.
        OutOfSpace: if the disk is full; likewise.
    """
    try:
        with needing_space(), written_whole(path) as temporary:
            return encode_image(temporary, image)
    except OSError as error:
        raise BrokenImage(f"cannot be written: {error.strerror or error}", "cannot be written") from error


def encode_image(path: Path, image: ImageFile) -> tuple[str, ...]:
    """Write an image as ``write_image`` does, but straight to ``path``, where a killed run may leave half of it."""
    check_target(path, image)
    target = ENCODERS[path.suffix.lower()]
    fitted, losses = _fit(image, target)
    if image.metadata.icc is not None and not _keeps_profile(fitted, target):
        fitted = replace(fitted, metadata=replace(image.metadata, icc=None))
        losses += (f"the ICC profile does not fit the image, and is not carried into the {target.name} file",)
    prepared = attach(as_vips(fitted), fitted.metadata)
    exif = exif_for(image.metadata, (prepared.width, prepared.height)) if target.name in _EXIF_INSERTED else None
    # Else libvips would make up EXIF for a file that had none, and write anew what is inserted below.
    options = {**target.options, "keep": "xmp:iptc:icc:other"} if exif or not image.metadata.exif else target.options
    if image.lossless and target.name == "WebP":
        options = {**options, **LOSSLESS_WEBP}
    with vips_errors_as(lambda why: BrokenImage(f"cannot be written ({why})", "cannot be written")):
        if target.saver == "tiffsave":
            return losses + _save_tiff(prepared, path, image.metadata, options)
        run_vips(lambda: getattr(prepared, target.saver)(os.fsencode(path), **options))
    if target.name == "PNG":
        insert_png_chunks(path, exif, image.metadata.png_texts)
    if target.name == "JPEG":
        insert_jpeg_segments(path, exif, image.metadata)
    return losses


def check_target(path: Path, image: ImageFile, scale: int = 1) -> None:
    """Raise RefusedImage if the format of ``path`` cannot hold the image upscaled ``scale`` times.

    Called before the chain runs, so that no work is lost.
    """
    target = ENCODERS.get(path.suffix.lower())
    if target is None:
        raise RefusedImage(f"{path.suffix!r} cannot be written, expected one of {', '.join(sorted(ENCODERS))}")
    height, width = (side * scale for side in image.pixels.shape[:2])
    if max(height, width) > target.longest:
        raise RefusedImage(
            f"the result has {width} x {height} pixels, "
            f"and {target.name} holds at most {target.longest} a side; write another format (ext: png)",
            "cannot be written",
        )
    if not target.alpha and image.transparent:
        fit = ", ".join(sorted(suffix for suffix, encoder in ENCODERS.items() if encoder.alpha))
        raise RefusedImage(
            f"is transparent, which {target.name} cannot hold, expected one of {fit}; write another format (ext: png)",
            "cannot be written",
        )


def _keeps_profile(image: ImageFile, target: Encoder) -> bool:
    """Return whether a corner of the image is written with its profile, which libpng and libvips drop in silence."""
    alpha = None if image.alpha is None else image.alpha[:16, :16]
    corner = replace(image, pixels=image.pixels[:16, :16], alpha=alpha)
    try:
        prepared = attach(as_vips(corner), Metadata(icc=image.metadata.icc))
        written = run_vips(lambda: getattr(prepared, f"{target.saver}_buffer")(**target.options))
        return bool(pyvips.Image.new_from_buffer(written, "").get_typeof("icc-profile-data"))
    except pyvips.Error:
        return False


def _save_tiff(image: pyvips.Image, path: Path, metadata: Metadata, options: Mapping[str, Any]) -> tuple[str, ...]:
    predictor = "float" if image.format == "float" else "horizontal"
    bytes_each = {"uchar": 1, "ushort": 2, "float": 4}[image.format]
    large = image.width * image.height * image.bands * bytes_each > _LARGEST_TIFF
    if metadata.iptc:
        image.remove("iptc-data")  # libvips would write the first quarter of it
    run_vips(lambda: image.tiffsave(os.fsencode(path), predictor=predictor, bigtiff=large, **options))
    if large and (metadata.exif or metadata.iptc):
        return ("EXIF and IPTC are not carried into a BigTIFF file",)
    if metadata.exif or metadata.iptc:
        exif = exif_for(metadata, (image.width, image.height)) or metadata.exif
        append_tiff_metadata(path, exif, metadata.iptc, image.width, image.height)
    return ()


def _fit(image: ImageFile, target: Encoder) -> tuple[ImageFile, tuple[str, ...]]:
    """Reduce what the format cannot hold, and return a line on each."""
    losses = []
    dtype = image.pixels.dtype
    bits = image.bits or 8 * dtype.itemsize
    if target.bits < 32 and dtype.kind == "f":
        dtype = np.dtype(np.uint16)
    if target.bits == 8:
        dtype = np.dtype(np.uint8)
    if dtype != image.pixels.dtype or (dtype == np.uint16 and target.bits < bits):
        came = "floats" if image.pixels.dtype.kind == "f" else f"{bits} bit"
        losses.append(f"{came} reduced to {min(target.bits, 8 * dtype.itemsize)} bit, the most {target.name} holds")
    if lost := blocks(image.metadata) - target.metadata:
        losses.append(f"{', '.join(sorted(lost))} is not carried into {target.name} files")
    alpha = image.alpha if target.alpha else None
    fitted = replace(
        image,
        pixels=quantised(image.pixels, dtype),
        alpha=None if alpha is None else quantised(alpha, dtype),
    )
    return fitted, tuple(losses)


def quantised(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Convert pixels to another dtype with rounding; no copy where nothing changes."""
    if pixels.dtype == dtype:
        return pixels
    scaled = pixels.astype(np.float32) * (white(dtype) / white(pixels.dtype))
    return np.rint(scaled).clip(0, white(dtype)).astype(dtype)


def as_vips(image: ImageFile) -> pyvips.Image:
    """Wrap the pixels, with alpha as the last band, in an image of libvips without copying them."""
    names = {"uint8": ("b-w", "srgb"), "uint16": ("grey16", "rgb16"), "float32": ("b-w", "scrgb")}
    gray, colour = names[image.pixels.dtype.name]
    wrapped = pyvips.Image.new_from_array(np.ascontiguousarray(image.pixels))
    if image.alpha is not None:
        wrapped = wrapped.bandjoin(pyvips.Image.new_from_array(np.ascontiguousarray(image.alpha)))
    return wrapped.copy(interpretation=gray if image.pixels.ndim == 2 else colour)
