"""The time of day that a camera counts frames by (SMPTE ST 12-1), moved to where a preview begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from av.video.stream import VideoStream

from pipeline.video.probe import rate_of


def timecodes_moved(metadata: Mapping[str, str], stream: VideoStream, begin: Fraction) -> dict[str, str]:
    """Return metadata in which a timecode is that of a later frame.

    Args:
        metadata: Of the file or of a stream.
        stream: The film.
        begin: Seconds on its clock at which that frame is shown.
    """
    assert stream.time_base is not None
    frames = round((begin - (stream.start_time or 0) * stream.time_base) * rate_of(stream))
    return {
        key: moved_timecode(text, frames, rate_of(stream)) if key.lower() == "timecode" else text
        for key, text in metadata.items()
    }


def moved_timecode(text: str, frames: int, rate: Fraction) -> str:
    """Return a timecode so many frames later.

    Args:
        text: ``HH:MM:SS:FF``, or ``HH:MM:SS;FF``, which leaves out the first two numbers of each minute but every
            tenth, four at 59.94 frames a second, and so keeps to the clock. Anything else is returned as it is.
        frames: How many.
        rate: Frames a second; counted are as many as the next whole number.
    """
    parts = re.fullmatch(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)", text)
    if parts is None:
        return text
    hours, minutes, seconds, number = (int(parts[at]) for at in (1, 2, 3, 5))
    minutes += hours * 60
    whole = max(1, round(rate))
    left_out = 0 if parts[4] == ":" else whole // 15
    ten_minutes = 600 * whole - 9 * left_out
    count = (minutes * 60 + seconds) * whole + number - left_out * (minutes - minutes // 10) + frames
    tens, rest = divmod(count % (144 * ten_minutes), ten_minutes)
    rest += left_out * (max(0, rest - left_out) // (60 * whole - left_out))
    seconds, number = divmod(tens * 600 * whole + rest, whole)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{parts[4]}{number:02}"
