"""Choose a container in which no sound of the source is lost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from pipeline.errors import ImageError, RefusedVideo
from pipeline.video.container import open_video
from pipeline.video.options import FORMATS, VideoOptions
from pipeline.video.sound import is_decodable

# In the order of preference behind the usual one; QuickTime stores AMR and Nellymoser, which Matroska does not.
_OTHERS = (".mkv", ".mov")


def suffix_with_sound(source: Path, options: VideoOptions) -> str:
    """Return the suffix of the result: the usual one, or that of a container that stores all sound unchanged.

    A chosen container is taken as it is, and so is the usual one of a file that cannot be opened: what is wrong with
    it is said when its turn comes. Matroska is the choice where none stores it, for PCM.
    """
    usual = options.suffix_for(source)
    if options.container is not None:
        return usual
    try:
        with open_video(source) as given:
            fitting = (suffix for suffix in (usual, *_OTHERS) if not _unsupported_sound(given, suffix))
            return next(fitting, _OTHERS[0])
    except ImageError:
        return usual


def notes_on_sound(source: Path, target: Path, options: VideoOptions) -> Iterator[str]:
    """Yield a note if the result has another container than usual because of its sound, or sound as PCM.

    Raises:
        RefusedVideo: if sound can neither be copied nor decoded, and the user has not chosen the container.
    """
    usual = options.suffix_for(source)
    with open_video(source) as given:
        if target.suffix != usual:
            why = f"{usual} does not store {_named(_unsupported_sound(given, usual))}"
            yield f"written as {target.suffix}, because {why}"
        lost = _unsupported_sound(given, target.suffix)
        if decoded := [stream for stream in lost if is_decodable(stream)]:
            yield f"{_named(decoded)} is decoded to PCM, because {target.suffix} does not store it; no sample changes"
        unreadable = [stream for stream in lost if not is_decodable(stream)]
        if unreadable and options.container is None:
            raise RefusedVideo(
                f"has {_named(unreadable)}, which can neither be copied nor decoded; choose a container to go on "
                "without it"
            )


def supports(muxer: str, stream: Stream) -> bool:
    """Return whether a container supports a stream, by muxing a trial header."""
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _unsupported_sound(given: InputContainer, suffix: str) -> list[Stream]:
    muxer = FORMATS[suffix.lower().removeprefix(".")]
    return [stream for stream in given.streams.audio if not supports(muxer, stream)]


def _named(streams: list[Stream]) -> str:
    return " and ".join(sorted({f"audio in {_codec(stream)}" for stream in streams}))


def _codec(stream: Stream) -> str:
    return "an unknown codec" if stream.codec_context is None else stream.codec_context.codec.canonical_name
