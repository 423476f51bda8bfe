"""The command line's options for videos, as types for its signature; ``VideoOptions`` documents them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipeline.errors import ConfigError
from pipeline.video.options import CONTAINERS, VideoOptions

if TYPE_CHECKING:
    from pipeline.batch.job import Job

_PANEL = "Video"
_FOR_IMAGES = {
    "--ext": "applies to images only; --container selects the file type of videos",
    "--save-stages": "applies to images only; of videos only the result is written",
}


def _option(help_text: str, *names: str, show_default: str | bool = False, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=_PANEL, show_default=show_default, metavar=metavar)


VIDEO_OPTIONS = (
    "codec", "crf", "preset", "pix_fmt", "container", "start", "duration", "frames_out", "fps", "batch",
    "deinterlace", "flicker",
)  # fmt: skip

Codec = Annotated[
    str | None,
    _option("libx264, libx265, libsvtav1, ffv1 or another libav encoder.", show_default=VideoOptions.codec),
]
Crf = Annotated[int | None, _option("Quality in the encoder's scale, lower is better. By default visually lossless.")]
Preset = Annotated[str | None, _option("Speed preset of the encoder: slower makes smaller files.")]
PixFmt = Annotated[str | None, _option("Pixel format, such as yuv420p. By default the source's own, or the nearest.")]
Container = Annotated[
    str | None, _option(f"One of {', '.join(CONTAINERS)}. By default the source's own, or the nearest.")
]
Start = Annotated[float | None, _option("Skip this many seconds, for a preview.", metavar="SECONDS")]
Duration = Annotated[float | None, _option("Stop after this many seconds.", metavar="SECONDS")]
FramesOut = Annotated[Path | None, _option("Also write all frames as FOLDER/NAME/000001.png ...", metavar="FOLDER")]
Fps = Annotated[str | None, _option("Treat each folder of images as a video with this frame rate.")]
FrameBatch = Annotated[str | None, _option("Frames per batch.", metavar="FRAMES|auto", show_default="auto")]
Deinterlace = Annotated[bool, _option("Deinterlace (bwdif); else interlaced videos are refused.", "--deinterlace")]
Flicker = Annotated[bool, _option("Measure temporal flicker of results and sources (slow).", "--flicker")]


def parse_video_options(chosen: Mapping[str, Any]) -> VideoOptions:
    """Return the video options among all command line options by name; those not given keep their defaults.

    Raises:
        ConfigError: for invalid values.
    """
    names = {field.name for field in fields(VideoOptions)} & chosen.keys()
    given = {name: chosen[name] for name in names if chosen[name] is not None}
    return VideoOptions(**given | {"batch": _parse_batch(chosen["batch"] or "auto")})


def refuse_without_videos(jobs: Sequence[Job], chosen: Mapping[str, Any]) -> None:
    """Refuse options for videos where no input is one.

    Raises:
        ConfigError: with a line for each such option.
    """
    if all(job.kind == "image" for job in jobs):
        names = [name for name in VIDEO_OPTIONS if chosen[name]]
        if names:
            raise ConfigError(
                "\n".join(f"{name}: is for videos, and no input is a video; leave it out" for name in names)
            )


def notes_on_image_options(jobs: Sequence[Job], given: Mapping[str, object]) -> Iterator[str]:
    """Yield a note for each image option that has no effect on the videos among the inputs.

    Args:
        jobs: All inputs.
        given: Values of ``--ext`` and ``--save-stages``; false values count as not given.

    Raises:
        ConfigError: if there are no images to which such an option could apply.
    """
    kinds = {job.kind == "image" for job in jobs}
    notes = [f"{name}: {_FOR_IMAGES[name]}" for name, value in given.items() if value and False in kinds]
    if True not in kinds and notes:
        raise ConfigError("\n".join(f"{text}. All inputs are videos, so omit it" for text in notes))
    yield from notes


def _parse_batch(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise ConfigError(f"batch: got {text!r}, expected a number of frames, or auto")
    return int(text)
