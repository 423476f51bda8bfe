"""The command line's options for videos, as types for its signature; what they mean stands in ``VideoOptions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.batch.plan import Job
    from pipeline.video.options import VideoOptions

_PANEL = "Video"
_FOR_PICTURES = {
    "--ext": "names the file type of pictures; what films become is told by --container",
    "--save-stages": "writes what pictures are after each stage; of films there is only the result",
}


def _option(help_text: str, *names: str, show_default: str | bool = False, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=_PANEL, show_default=show_default, metavar=metavar)


VIDEO_OPTIONS = (
    "codec", "crf", "preset", "pix_fmt", "container", "start", "duration", "frames_out", "fps", "batch",
    "deinterlace", "strict", "flicker",
)  # fmt: skip

Codec = Annotated[
    str | None, _option("libx264, libx265, libsvtav1, ffv1 or another of libav's encoders.", show_default="libx264")
]
Crf = Annotated[int | None, _option("Quality in the encoder's scale, lower is better. By default visually lossless.")]
Preset = Annotated[str | None, _option("The encoder's trade of time against size.")]
PixFmt = Annotated[str | None, _option("Such as yuv420p. By default the source's own, or the nearest.")]
Container = Annotated[str | None, _option("mp4, mkv or mov. By default the source's own, or the nearest.")]
Start = Annotated[float | None, _option("Leave out the beginning, for a preview.", metavar="SECONDS")]
Duration = Annotated[float | None, _option("Restore so much only.", metavar="SECONDS")]
FramesOut = Annotated[Path | None, _option("Also write all frames, to FOLDER/NAME/000001.png ...", metavar="FOLDER")]
Fps = Annotated[str | None, _option("Take the pictures in each folder as the frames of a film, so many a second.")]
FrameBatch = Annotated[str | None, _option("Frames on the device at once.", metavar="FRAMES|auto", show_default="auto")]
Deinterlace = Annotated[bool, _option("Make frames of fields; else interlaced films are refused.", "--deinterlace")]
Flicker = Annotated[bool, _option("Tell how much results flicker, beside their sources. Takes a while.", "--flicker")]
Strict = Annotated[bool, _option("Fail at damage instead of passing it through.", "--strict")]


def parse_video_options(chosen: Mapping[str, Any]) -> VideoOptions:
    """Return the options that were given, of all of the command line's by name; the others by default.

    Raises:
        ConfigError: for values that make no sense.
    """
    from pipeline.video.options import VideoOptions

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


def notes_on_picture_options(jobs: Sequence[Job], given: Mapping[str, object]) -> Iterator[str]:
    """Yield what a user has to know of options that do nothing to the films among the inputs.

    Args:
        jobs: All inputs.
        given: What was given for ``--ext`` and ``--save-stages``; what is false was not.

    Raises:
        ConfigError: if there are no pictures to which such an option could do anything.
    """
    kinds = {job.kind == "image" for job in jobs}
    told = [f"{name}: {_FOR_PICTURES[name]}" for name, value in given.items() if value and False in kinds]
    if True not in kinds and told:
        raise ConfigError("\n".join(f"{text}. All inputs are films, so leave it out" for text in told))
    yield from told


def _parse_batch(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise ConfigError(f"--batch: got {text!r}, expected a number of frames, or auto")
    return int(text)
