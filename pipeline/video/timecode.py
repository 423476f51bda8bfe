"""Shift SMPTE timecodes (ST 12-1) to the first frame of a preview."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from av.video.stream import VideoStream

from pipeline.video.probe import rate_of


def shifted_timecodes(metadata: Mapping[str, str], stream: VideoStream, begin: Fraction) -> dict[str, str]:
    """Return metadata with the timecode moved to a later frame.

    Args:
        metadata: Of the file or of a stream.
        stream: The video stream.
        begin: Presentation timestamp of that frame in seconds.
    """
    assert stream.time_base is not None
    frames = round((begin - (stream.start_time or 0) * stream.time_base) * rate_of(stream))
    return {
        key: shifted_timecode(text, frames, rate_of(stream)) if key.lower() == "timecode" else text
        for key, text in metadata.items()
    }


def shifted_timecode(text: str, frames: int, rate: Fraction) -> str:
    """Return the timecode ``frames`` frames later.

    Args:
        text: ``HH:MM:SS:FF``, or the drop-frame form ``HH:MM:SS;FF``, which skips the first two numbers (four at
            59.94 frames per second) of each minute that is not a multiple of ten. Any other text is returned
            unchanged.
        frames: Number of frames to add.
        rate: Frames per second; the timecode counts at the nearest whole rate.
    """
    parts = re.fullmatch(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)", text)
    if parts is None:
        return text
    hours, minutes, seconds, number = (int(parts[at]) for at in (1, 2, 3, 5))
    minutes += hours * 60
    whole = max(1, round(rate))
    dropped = 0 if parts[4] == ":" else whole // 15
    ten_minutes = 600 * whole - 9 * dropped
    count = (minutes * 60 + seconds) * whole + number - dropped * (minutes - minutes // 10) + frames
    tens, rest = divmod(count % (144 * ten_minutes), ten_minutes)
    rest += dropped * (max(0, rest - dropped) // (60 * whole - dropped))
    seconds, number = divmod(tens * 600 * whole + rest, whole)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{parts[4]}{number:02}"
