"""Read and write image files without losing orientation, alpha, gray, 16 bit, ICC, EXIF, XMP or IPTC.

Safe to call from several threads.
"""

from pipeline.images.formats import READABLE, WRITABLE
from pipeline.images.image_file import ImageFile
from pipeline.images.reader import PIXEL_LIMIT, read_image, read_size
from pipeline.images.verification import missing_in
from pipeline.images.writer import check_target, encode_image, write_image

__all__ = [
    "PIXEL_LIMIT",
    "READABLE",
    "WRITABLE",
    "ImageFile",
    "check_target",
    "encode_image",
    "missing_in",
    "read_image",
    "read_size",
    "write_image",
]
