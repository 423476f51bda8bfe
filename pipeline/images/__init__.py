"""Image files <-> pixels with nothing lost: orientation, alpha, gray, 16 bit, ICC, EXIF, XMP, IPTC.

Safe to call from several threads.
"""

from pipeline.images.formats import FORMATS
from pipeline.images.image_file import ImageFile
from pipeline.images.reader import PIXEL_LIMIT, read_image
from pipeline.images.writer import check_target, write_image

__all__ = ["PIXEL_LIMIT", "READABLE", "WRITABLE", "ImageFile", "check_target", "read_image", "write_image"]

WRITABLE = frozenset(FORMATS)

# HEIC and icons are among them so that they are refused by name instead of being passed over; the reader says why.
READABLE = WRITABLE | {
    *(".apng", ".bmp", ".dib", ".gif", ".heic", ".heif", ".ico", ".j2k"),
    *(".jp2", ".mpo", ".pbm", ".pfm", ".pgm", ".pnm", ".ppm"),
}
