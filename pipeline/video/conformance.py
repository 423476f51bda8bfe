"""Is the result the same film, only larger? Its frames and times, and all that lies beside them, against the source.

Frames count as they are decoded, other streams by the bytes of their packets. What the source does not say (colour
tags, languages ...), the result is free to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from rich.table import Table

from pipeline.cli.terminal import printable
from pipeline.errors import BrokenVideo, ImageError
from pipeline.video.agreement import Figure, equal, equal_texts, same_moment, same_times
from pipeline.video.contents import FILM, Chapter, Contents, Times, Track, VideoFrames
from pipeline.video.holdable import holdable, untold
from pipeline.video.inventory import read_contents, read_frames
from pipeline.video.options import VideoOptions
from pipeline.video.sources import frame_number, frame_paths


def examine(
    source: Path,
    result: Path,
    options: VideoOptions = VideoOptions(),  # noqa: B008  (frozen)
    *,
    scale: int | None = None,
) -> list[Figure]:
    """Compare two films in everything that has to be the same, and in size.

    Either may be a folder of frames. As a result it has no clock and holds nothing beside them: then their number, size
    and numbering are compared.

    Args:
        source: The film that was restored.
        result: What it became.
        options: ``start`` and ``duration`` tell which part of the source the result shows, and ``fps`` the frames a
            second of a source that is a folder.
        scale: How many times larger the result should be; any whole number if absent.

    Raises:
        BrokenVideo: if one of them cannot be read as a video, or holds no frame.
    """
    before, after = _read("source", source, options), _read("result", result, VideoOptions())
    if result.is_dir():
        return list(_folder_figures(before.film, after.film, frame_paths(result), scale))
    figures = [*_film_figures(before.film, after.film, scale), *_other_figures(before, after)]
    if all(figure.agrees for figure in figures):
        return figures
    obstacles = untold(result, earliest=min(track.times.start for track in before.head.tracks))
    if source.is_file():
        film = next(track for track in after.head.tracks if track.kind == FILM)
        possible = replace(before, head=holdable(source, before.head, result, film))
        lost = _names(_other_figures(before, after)) - _names(_other_figures(possible, after))
        obstacles |= dict.fromkeys(lost, "this container cannot hold it; --container mkv may")
    return [figure if figure.agrees else replace(figure, obstacle=obstacles.get(figure.name, "")) for figure in figures]


def as_table(figures: Sequence[Figure]) -> Table:
    """Return all figures for the terminal; what does not agree is marked."""
    table = Table("", "source", "result", "")
    for figure in figures:
        verdict = "same" if figure.agrees else "DIFFERS" if figure.is_fault else "not held"
        table.add_row(*map(printable, (figure.name, figure.expected, figure.came)), verdict)
    return table


def _read(role: str, path: Path, options: VideoOptions) -> Contents:
    try:
        if path.is_dir():
            return read_frames(path, options)
        return read_contents(path, start=options.start, duration=options.duration)
    except ImageError as error:
        raise BrokenVideo(f"the {role} {path} {error}") from error


def _film_figures(before: VideoFrames, after: VideoFrames, scale: int | None) -> Iterator[Figure]:
    yield equal("frames", len(before.times.ticks), len(after.times.ticks))
    yield same_times("frame times", before.times, after.times)
    yield same_moment("start", (before.times.start, after.times.start), (before.times.tick, after.times.tick))
    if before.last is not None and after.last is not None:
        ends = before.times.length + before.last, after.times.length + after.last
        # The last moment and how long it lasts are both rounded.
        yield same_moment("duration", ends, (2 * before.times.tick, 2 * after.times.tick))
    yield _size(before.size, after.size, scale)
    yield _aspect(before.aspect, after)
    yield equal("rotation", before.turn, after.turn)
    for name, fact in before.facts.items():
        yield equal(name, fact, after.facts.get(name))


def _folder_figures(
    before: VideoFrames, after: VideoFrames, paths: Sequence[Path], scale: int | None
) -> Iterator[Figure]:
    yield equal("frames", len(before.times.ticks), len(after.times.ticks))
    yield _size(before.size, after.size, scale)
    for path, following in pairwise(paths):
        if frame_number(following) != frame_number(path) + 1:
            yield Figure("numbers", f"{frame_number(path) + 1} behind {path.name}", following.name, agrees=False)
            return
    yield Figure("numbers", "each one more", "each one more", agrees=True)


def _size(before: tuple[int, int], after: tuple[int, int], scale: int | None) -> Figure:
    wanted = scale or max(1, after[0] // before[0])
    width, height = (side * wanted for side in before)
    text = f"{width}x{height}" if scale else f"{before[0]}x{before[1]} times a whole number"
    return Figure("size", text, f"{after[0]}x{after[1]}", after == (width, height))


def _aspect(wanted: Fraction, after: VideoFrames) -> Figure:
    """Compare the shape of pixels; some containers tell it as a width in whole pixels on the screen."""
    agrees = abs(wanted - after.aspect) * after.size[0] <= 1
    return Figure("pixel aspect", str(wanted), str(after.aspect), agrees)


def _other_figures(before: Contents, after: Contents) -> Iterator[Figure]:
    """Yield the figures of all that lies beside the frames; only of what the source has, or the result has too much."""
    left = list(after.head.tracks)
    partners = []
    for track in before.head.tracks:
        partner = _partner(track, left)
        yield equal(_label(track), "there", "missing" if partner is None else "there")
        if partner is not None:
            left.remove(partner)
            partners.append(partner)
            yield from _track_figures(track, partner, before.film.times, after.film.times)
    for track in left:
        if not _tells_timecode(before, track):
            yield equal(f"{_label(track)} of the result", "nothing", "there")
    indices = [partner.index for partner in partners]
    yield equal("order of streams", sorted(indices), indices)
    yield from _chapter_figures(before.head.chapters, after.head.chapters)
    timecode = {key: text for track in left for key, text in track.metadata.items() if key == "timecode"}
    yield from equal_texts("metadata", before.head.metadata, {**timecode, **after.head.metadata})


def _tells_timecode(before: Contents, track: Track) -> bool:
    """Tell whether a stream of the result is what became of a timecode in the source's metadata."""
    told = [before.head.metadata, *(other.metadata for other in before.head.tracks)]
    timecode = track.metadata.get("timecode")
    return timecode is not None and timecode in (metadata.get("timecode") for metadata in told)


def _is_timecode(track: Track) -> bool:
    return track.kind == "data" and "timecode" in track.metadata


def _partner(track: Track, left: Sequence[Track]) -> Track | None:
    """Return the stream most like one: with the same bytes, else of the same codec."""
    kin = [other for other in left if other.kind == track.kind]
    copies = [other for other in kin if other.sha256 == track.sha256]
    return next(iter([*copies, *(other for other in kin if other.codec == track.codec)]), None)


def _track_figures(before: Track, after: Track, film: Times, enlarged: Times) -> Iterator[Figure]:
    name = _label(before)
    if before.language is not None:
        yield equal(f"{name} language", before.language, after.language)
    for flag in sorted(before.flags):
        yield equal(f"{name} {flag}", "yes", "yes" if flag in after.flags else "no")
    yield from equal_texts(name, before.metadata, after.metadata)
    if before.kind == FILM or _is_timecode(before):
        return  # its only packet says what its metadata say
    yield Figure(f"{name} bytes", before.sha256[:12], after.sha256[:12], before.sha256 == after.sha256)
    if before.codec.startswith("pcm_") or not before.times.ticks:
        return  # containers cut raw samples into packets as they like
    yield equal(f"{name} packets", before.packets, after.packets)
    yield same_times(f"{name} times", before.times, after.times)
    yield same_moment(
        f"{name} after film",
        (before.times.start - film.start, after.times.start - enlarged.start),
        (max(before.times.tick, film.tick), max(after.times.tick, enlarged.tick)),
    )


def _chapter_figures(before: Sequence[Chapter], after: Sequence[Chapter]) -> Iterator[Figure]:
    if before or after:
        yield equal("chapters", len(before), len(after))
    for number, (wanted, got) in enumerate(zip(before, after, strict=False), 1):
        yield equal(f"chapter {number} title", wanted.title, got.title)
        yield same_moment(f"chapter {number} start", (wanted.start, got.start), (wanted.tick, got.tick))


def _label(track: Track) -> str:
    return f"stream {track.index} ({' '.join(filter(None, (track.kind, track.codec)))})"


def _names(figures: Iterable[Figure]) -> set[str]:
    return {figure.name for figure in figures}
