"""What a user may choose about videos, with the only defaults."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pipeline.errors import ConfigError

READABLE = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut"}
    | {".ogv", ".ts", ".vob", ".webm", ".wmv"}
)
# Suffixes and libav's names for them.
FORMATS = {"mp4": "mp4", "m4v": "mp4", "mkv": "matroska", "mov": "mov"}
CONTAINERS = ("mp4", "mkv", "mov")

# Visually lossless. FFV1 is lossless; every frame alone, with a checksum, as archives ask for.
_ENCODERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "libx264": {"crf": "16", "preset": "slow"},
        "libx265": {"crf": "18", "preset": "medium", "x265-params": "log-level=error"},
        "libsvtav1": {"crf": "20", "preset": "6"},
        "libvpx-vp9": {"crf": "18", "b": "0", "row-mt": "1"},
        "ffv1": {"level": "3", "g": "1", "slicecrc": "1"},
    }
)


@dataclass(frozen=True)
class VideoOptions:
    """How videos are read and written.

    Attributes:
        codec: Name of a libav encoder.
        crf: Quality, in the encoder's own scale; None for its default here.
        preset: Of the encoder; None for its default here.
        pix_fmt: libav's name of the output's planes; None for the source's own, or the nearest the encoder takes.
        container: Suffix of the result without its dot; None for the source's own where it is one of
            ``CONTAINERS``.
        start: Seconds of the film to leave out.
        duration: Seconds of the film to restore; None for all.
        frames_out: Where every frame is also written as PNG, in a folder for each film.
        fps: Frames a second of folders of frames, as a fraction; None where folders hold photos.
        batch: Frames on the device at once.
        deinterlace: Make frames of fields instead of refusing them.
        strict: Fail at damage instead of passing it through.
        segment: Frames that are encoded together and kept when a run is killed; libx264's own distance of key
            frames, so that cutting costs no bits.
    """

    codec: str = "libx264"
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    container: str | None = None
    start: float = 0.0
    duration: float | None = None
    frames_out: Path | None = None
    fps: str | None = None
    batch: int | Literal["auto"] = "auto"
    deinterlace: bool = False
    strict: bool = False
    segment: int = 250

    def __post_init__(self) -> None:
        if self.container is not None and self.container not in CONTAINERS:
            raise ConfigError(f"--container: got {self.container!r}, expected one of {', '.join(CONTAINERS)}")
        if not 0 <= self.start < math.inf:
            raise ConfigError(f"--start: got {self.start:g}, expected seconds from the beginning")
        if self.duration is not None and not 0 < self.duration < math.inf:
            raise ConfigError(f"--duration: got {self.duration:g}, expected seconds above 0")
        if self.batch != "auto" and self.batch < 1:
            raise ConfigError(f"--batch: got {self.batch}, expected a number of frames, or auto")

    def encoder_options(self) -> dict[str, str]:
        """Return what the encoder is opened with."""
        defaults = dict(_ENCODERS.get(self.codec, {}))
        chosen = {"crf": self.crf, "preset": self.preset}
        return defaults | {key: str(value) for key, value in chosen.items() if value is not None}

    @property
    def part(self) -> str:
        """Put behind a preview's name, so that it replaces neither the whole film nor what is there of it."""
        begin = f"_from_{self.start:.10g}s" if self.start else ""
        return begin if self.duration is None else f"{begin}_for_{self.duration:.10g}s"

    def suffix_for(self, source: Path) -> str:
        """Return the suffix of what becomes of a file or a folder of frames.

        MP4 is the default, because its clock holds every source's times; Matroska's counts whole milliseconds,
        as those of WebM do. Ogg's sound, Vorbis, is refused by MP4.
        """
        if self.container is not None:
            return f".{self.container}"
        own = source.suffix.lower()
        if own.removeprefix(".") in FORMATS and self.codec != "ffv1":
            return source.suffix
        return ".mkv" if own in (".webm", ".ogv") or self.codec == "ffv1" else ".mp4"

    def fingerprint(self) -> str:
        """Return a hash of all that changes the result."""
        chosen = (self.codec, sorted(self.encoder_options().items()), self.pix_fmt, self.start, self.duration)
        return hashlib.sha256(repr((*chosen, self.fps, self.deinterlace, self.segment)).encode()).hexdigest()
