"""Options for reading and writing videos, with the only defaults, and the table of containers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pipeline.errors import ConfigError

READABLE = frozenset(
    {
        ".264", ".265", ".266", ".3g2", ".3gp", ".3gp2", ".3gpp", ".3gpp2", ".amv", ".asf", ".av1", ".avc", ".avi",
        ".cavs", ".dav", ".dif", ".dirac", ".divx", ".dv", ".dvr-ms", ".evo", ".f4v", ".flv", ".gxf", ".h264", ".h265",
        ".h266", ".hevc", ".insv", ".ismv", ".ivf", ".lrv", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v", ".mj2",
        ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mod", ".mov", ".mp2v", ".mp4", ".mpe", ".mpeg", ".mpegts", ".mpg", ".mpv",
        ".mpv2", ".mqv", ".mts", ".mxf", ".nsv", ".nut", ".obu", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".swf", ".tod",
        ".tp", ".trp", ".ts", ".vc1", ".vob", ".vro", ".vvc", ".webm", ".wm", ".wmv", ".wtv", ".y4m",
    }
)  # fmt: skip
# The containers to choose from: suffix and libav's muxer.
CONTAINERS: Mapping[str, str] = MappingProxyType({"mp4": "mp4", "mkv": "matroska", "mov": "mov"})
# All suffixes that are written, and their muxers.
FORMATS: Mapping[str, str] = MappingProxyType({**CONTAINERS, "m4v": "mp4"})

# Visually lossless. FFV1 is lossless; intra-only with checksums, as archives require.
_ENCODERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "libx264": {"crf": "16", "preset": "slow"},
        "libx265": {"crf": "18", "preset": "medium", "x265-params": "log-level=error"},
        "libsvtav1": {"crf": "20", "preset": "6"},
        "libvpx-vp9": {"crf": "18", "b": "0", "row-mt": "1"},
        "ffv1": {"level": "3", "g": "1", "slicecrc": "1"},
    }
)
# Options that change no frame of a result; ``codec``, ``crf`` and ``preset`` count as the encoder's options.
_NOT_IN_FINGERPRINT = frozenset({"codec", "crf", "preset", "container", "frames_out", "batch", "strict"})


@dataclass(frozen=True)
class VideoOptions:
    """How videos are read and written.

    Attributes:
        codec: Name of a libav encoder.
        crf: Quality in the encoder's own scale; None for the default of this project.
        preset: Speed preset of the encoder; None for the default of this project.
        pix_fmt: libav's name of the result's pixel format; None for the source's own, or the nearest that the encoder
            supports.
        container: Suffix of the result without its dot; None for the source's own if it is one of ``FORMATS``.
        start: Seconds to skip at the beginning.
        duration: Seconds to restore; None for everything after ``start``.
        frames_out: Folder in which every frame is also written as PNG, in a folder for each video.
        fps: Frames per second of folders of frames, as a fraction; None if folders contain photos.
        batch: Number of frames restored on the device at once.
        deinterlace: Deinterlace interlaced videos instead of refusing them.
        strict: Abort on corrupt frames instead of passing them through.
        segment: Frames that are encoded together and kept if a run is killed; equal to libx264's default
            keyframe interval, so that segmenting costs no bits.
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
            raise ConfigError(f"container: got {self.container!r}, expected one of {', '.join(CONTAINERS)}")
        if not 0 <= self.start < math.inf:
            raise ConfigError(f"start: got {self.start:g}, expected seconds from the beginning")
        if self.duration is not None and not 0 < self.duration < math.inf:
            raise ConfigError(f"duration: got {self.duration:g}, expected seconds above 0")
        if self.batch != "auto" and self.batch < 1:
            raise ConfigError(f"batch: got {self.batch}, expected a number of frames, or auto")

    def encoder_options(self) -> dict[str, str]:
        """Return the options that the encoder is opened with."""
        defaults = dict(_ENCODERS.get(self.codec, {}))
        chosen = {"crf": self.crf, "preset": self.preset}
        return defaults | {key: str(value) for key, value in chosen.items() if value is not None}

    @property
    def part(self) -> str:
        """Suffix for the name of a preview, so that it replaces neither the whole result nor partial output of it."""
        begin = f"_from_{self.start:.10g}s" if self.start else ""
        return begin if self.duration is None else f"{begin}_for_{self.duration:.10g}s"

    def suffix_for(self, source: Path) -> str:
        """Return the suffix of the result for a file or a folder of frames.

        MP4 is the default, because its time base represents every source's timestamps; those of Matroska are whole
        milliseconds, as are those of WebM. MP4 cannot store Vorbis, the usual audio codec in Ogg.
        """
        if self.container is not None:
            return f".{self.container}"
        own = source.suffix.lower()
        if own.removeprefix(".") in FORMATS and self.codec != "ffv1":
            return source.suffix
        return ".mkv" if own in (".webm", ".ogv") or self.codec == "ffv1" else ".mp4"

    def fingerprint(self) -> str:
        """Return a hash of all options that change the result."""
        names = [field.name for field in fields(self) if field.name not in _NOT_IN_FINGERPRINT]
        values = (self.codec, sorted(self.encoder_options().items()), *(getattr(self, name) for name in names))
        return hashlib.sha256(repr(values).encode()).hexdigest()
