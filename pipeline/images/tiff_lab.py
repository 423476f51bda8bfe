"""Read TIFF files in 8-bit CIELAB, which libvips 8.18 takes for its own packed Lab (``bad labq format``)."""

import io
import logging
from pathlib import Path
from typing import Any

import pyvips

from pipeline.errors import BrokenImage
from pipeline.images.damage import TIFF_DAMAGE

_RGB = 2

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # damage is reported by an error, not on stderr


def open_tiff_lab(path: Path, **options: Any) -> pyvips.Image:
    """Open an 8-bit Lab TIFF as floats in L*a*b*, with the options of ``tiffload``.

    The file is relabelled as RGB in memory, so that libvips undoes whatever compression there is.

    Raises:
        BrokenImage: if its directory is damaged.
    """
    from tifffile import TiffFile

    relabelled = io.BytesIO(path.read_bytes())
    try:
        with TiffFile(relabelled) as tiff:
            tiff.pages.first.tags["PhotometricInterpretation"].overwrite(_RGB)
    except TIFF_DAMAGE as error:
        raise BrokenImage(f"is damaged: its TIFF directory cannot be read ({error})") from error
    image = pyvips.Image.tiffload_buffer(relabelled.getvalue(), **options)
    signed = [image[band].copy(format="char") for band in (1, 2)]
    return (image[0] * (100 / 255)).bandjoin(signed).copy(interpretation="lab")
