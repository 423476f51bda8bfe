"""How a restored video falls short of its source."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.video.colour import YUV
from pipeline.video.planes import pix_fmt_of
from pipeline.video.probe import Footage
from pipeline.video.segments import Segment
from pipeline.video.window import Window

_MUCH = 0.5  # seconds by which a video may be shorter than its audio


def early_end(footage: Footage, window: Window, last: Segment) -> Iterator[str]:
    """Yield a note if a video is shorter than its header states, as truncated files are."""
    timing = last.timings[-1]
    ended = (timing.pts + timing.duration) * footage.time_base - footage.begin
    if footage.duration is not None and window.stop is None and ended < footage.duration - _MUCH:
        yield f"ends at {float(ended):.3f} s, expected {float(footage.duration):.3f} s by its header"


def change_of_format(old: YUV, new: YUV) -> list[str]:
    """Return a note if the result has another pixel format than the source."""
    return [] if new == old else [f"{pix_fmt_of(old)} is written as {pix_fmt_of(new)}"]


def loses_detail(old: YUV, new: YUV) -> bool:
    """Return whether the result has fewer bits, or fewer samples of chroma."""
    halved = zip(old.halved, new.halved, strict=True)
    return new.depth < old.depth or any(after and not before for before, after in halved)
