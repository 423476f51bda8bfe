"""Look at an upload before it is restored: its size, and a small image, also of formats that browsers do not show."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.alpha import visible_pixels
from pipeline.condition.condition import Condition
from pipeline.engine.condition import measure_image
from pipeline.errors import RefusedImage, RefusedVideo
from pipeline.html_report.previews import write_preview
from pipeline.images import ImageFile, read_image

LONGEST = 960
# libav would open what these name: other files of the server, and addresses in its network.
_PLAYLIST = re.compile(rb"\A(\xef\xbb\xbf)?\s*(#EXTM3U|ffconcat|v=0|\[playlist\])|<MPD|<AssetMap", re.IGNORECASE)
_HEAD_BYTES = 1 << 16


def look_at(path: Path, thumbnail: Path, max_pixels: int, *, video: bool) -> tuple[tuple[int, int], Condition]:
    """Draw a small WebP of a file, and measure it.

    Returns:
        Width and height in pixels; noise, blur and JPEG quality, of the first frame of a video.

    Raises:
        ImageError: if it cannot be restored.
    """
    image = frame_at(path, Fraction(0)) if video else read_image(path, max_pixels)
    height, width = image.pixels.shape[:2]
    if width * height > max_pixels:
        raise RefusedImage(f"has {width} x {height} pixels, expected at most {max_pixels / 1e6:g} megapixels")
    write_preview(thumbnail, image, LONGEST)
    return (width, height), measure_image(visible_pixels(image), image.luma_table)


def refuse_playlist(path: Path) -> None:
    """Refuse a file that names others, which libav would open.

    Raises:
        RefusedVideo: if it is one.
    """
    with path.open("rb") as file:
        if _PLAYLIST.search(file.read(_HEAD_BYTES)):
            raise RefusedVideo("is a list of other files, expected a video")


def duration_of(path: Path) -> Fraction:
    """Return the duration of a video in seconds; 0 if unknown."""
    from pipeline.video.probe import probe

    return probe(path).duration or Fraction(0)


def frame_at(path: Path, seconds: Fraction) -> ImageFile:
    """Return the first frame of a video at a time or after it, upright, in 8 bit.

    Raises:
        ImageError: if there is none.
    """
    import av

    from pipeline.video.container import open_video, video_stream_of
    from pipeline.video.probe import probe

    footage = probe(path)
    wanted, found = footage.begin + seconds, None
    with open_video(path) as container:
        container.seek(int(wanted * av.time_base))
        for frame in container.decode(video_stream_of(container)):
            found = frame
            if frame.pts is None or frame.pts * footage.time_base >= wanted:
                break
    if found is None:
        raise RefusedVideo("holds no frame that can be decoded")
    pixels = found.reformat(format="rgb24", src_colorspace=footage.layout.matrix).to_ndarray()
    return ImageFile(np.ascontiguousarray(np.rot90(pixels, found.rotation // 90)))
