"""Change what new pixels make wrong in a packet of XMP: sizes in pixels, and mentions of what is not carried.

The packet stays as it is everywhere else. Properties may be attributes or elements, under any prefix.
"""

import re

_UPRIGHT_SIZES = {
    b"http://ns.adobe.com/tiff/1.0/": (b"ImageWidth", b"ImageLength"),
    b"http://ns.adobe.com/exif/1.0/": (b"PixelXDimension", b"PixelYDimension"),
}
_PANORAMA = b"http://ns.google.com/photos/1.0/panorama/"
_ACROSS, _DOWN = rb"\w*(?:Width|Left)(?:Pixels)?", rb"\w*(?:Height|Top)(?:Pixels)?"
# Sizes and regions, where they are in pixels: the unit, then names of lengths across and down.
_AREAS = {
    b"http://ns.adobe.com/xap/1.0/sType/Dimensions#": (rb"unit", rb"w", rb"h"),
    b"http://ns.adobe.com/xmp/sType/Area#": (rb"unit", rb"[xwd]", rb"[yh]"),
    b"http://iptc.org/std/Iptc4xmpExt/2008-02-29/": (rb"rbUnit", rb"rb(?:X|W|Rx)", rb"rb[YH]"),
}

# Motion photo, gain map and the directory of both: they describe data outside of the image itself.
_BESIDE = {
    b"http://ns.google.com/photos/1.0/camera/": rb"Motion\w*|MicroVideo\w*",
    b"http://ns.oplus.com/photos/1.0/camera/": rb"Motion\w*|OLivePhoto\w*|VideoLength",
    b"http://ns.xiaomi.com/photos/1.0/camera/": rb"Motion\w*|MicroVideo\w*",
    b"http://ns.google.com/photos/1.0/container/": rb"\w+",
    b"http://ns.google.com/photos/dd/1.0/device/": rb"\w+",
    b"http://ns.adobe.com/hdr-gain-map/1.0/": rb"\w+",
    b"http://ns.apple.com/HDRGainMap/1.0/": rb"\w+",
    b"http://ns.apple.com/pixeldatainfo/1.0/": rb"\w+",
}
# Their data are in extended XMP, which is not carried.
_EXTENDED = {
    b"http://ns.google.com/photos/1.0/depthmap/": rb"\w+",
    b"http://ns.google.com/photos/1.0/image/": rb"\w+",
    b"http://ns.google.com/photos/1.0/audio/": rb"\w+",
    b"http://ns.adobe.com/xmp/note/": rb"HasExtendedXMP",
}


def resized(xmp: bytes, old: tuple[int, int], new: tuple[int, int]) -> bytes:
    """Return the packet with all sizes in pixels scaled from the ``old`` width and height to the ``new``."""
    for uri, sides in _UPRIGHT_SIZES.items():
        for side, value in zip(sides, new, strict=True):
            xmp = _scaled(xmp, uri, side, exactly=value)
    if old == new:
        return xmp
    across, down = new[0] / old[0], new[1] / old[1]
    xmp = _scaled(xmp, _PANORAMA, _ACROSS, across)
    xmp = _scaled(xmp, _PANORAMA, _DOWN, down)
    for uri, (unit, width, height) in _AREAS.items():
        if re.search(rb":" + unit + rb"""\s*(=\s*["']|>)\s*[Pp]ixel""", xmp):
            xmp = _scaled(_scaled(xmp, uri, width, across), uri, height, down)
    return xmp


def without_beside(xmp: bytes) -> bytes:
    """Return the packet without properties that describe a video, gain map or depth map beside the image."""
    extended = b"HasExtendedXMP" in xmp
    for uri, names in {**_BESIDE, **(_EXTENDED if extended else {})}.items():
        for prefix in _prefixes(xmp, uri):
            xmp = _removed(xmp, prefix, names)
    return xmp


def _prefixes(xmp: bytes, uri: bytes) -> list[bytes]:
    return [re.escape(found) for found in set(re.findall(rb"""xmlns:([\w.-]+)\s*=\s*["']""" + re.escape(uri), xmp))]


def _scaled(xmp: bytes, uri: bytes, name: bytes, factor: float = 1, exactly: int | None = None) -> bytes:
    """Scale the whole numbers of properties that match ``name``, or set them."""

    def replaced(found: re.Match[bytes]) -> bytes:
        value = round(int(found[2]) * factor) if exactly is None else exactly
        return found[1] + str(value).encode()

    for prefix in _prefixes(xmp, uri):
        pattern = (
            rb"([\s<]" + prefix + rb":(?:" + name + rb""")(?:\s*=\s*["']\s*|\s*>\s*))(\d{1,9})(?:\.0+)?(?![\d.])"""
        )
        xmp = re.sub(pattern, replaced, xmp)
    return xmp


def _removed(xmp: bytes, prefix: bytes, name: bytes) -> bytes:
    """Remove elements with all they hold, then attributes; a property's element never holds one of its own name."""
    whole = prefix + rb":(" + name + rb")"
    xmp = re.sub(rb"<" + whole + rb"(?:\s[^<>]*)?/>\s*", b"", xmp)
    xmp = re.sub(rb"<(" + whole + rb")(?:\s[^<>]*)?>.*?</\1\s*>\s*", b"", xmp, flags=re.DOTALL)
    return re.sub(rb"\s+" + whole + rb"""\s*=\s*(?:"[^"]*"|'[^']*')""", b"", xmp)
