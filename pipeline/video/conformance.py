"""Verify that a result is its source at a larger size: frames, timestamps, all other streams and metadata.

The video is compared as decoded, other streams by the bytes of their packets. Where the source states nothing (colour
tags, languages ...), the result may state anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from pipeline.errors import BrokenVideo, ImageError
from pipeline.video.container import open_video
from pipeline.video.container_choice import supports
from pipeline.video.contents import MAIN_VIDEO, Chapter, Contents, Timestamps, Track, VideoProperties
from pipeline.video.inventory import read_contents, read_frames
from pipeline.video.muxable import muxable, muxer_name, unsupported_properties
from pipeline.video.options import VideoOptions
from pipeline.video.property_comparison import (
    PropertyComparison,
    compare_texts,
    compare_times,
    compare_timestamps,
    compare_values,
)
from pipeline.video.sound import decoded_track, is_decodable
from pipeline.video.sources import frame_number, frame_paths
from pipeline.video.window import window_of


def compare_videos(
    source: Path,
    result: Path,
    options: VideoOptions = VideoOptions(),  # noqa: B008  (frozen)
    *,
    scale: int | None = None,
) -> list[PropertyComparison]:
    """Compare everything that must be equal in source and result, and their sizes.

    Either may be a folder of frames. A result that is one has no timestamps and no other streams: the number, size and
    numbering of its frames are compared.

    Args:
        source: The video that was restored.
        result: The restored video.
        options: ``start`` and ``duration`` select the part of the source that the result covers; ``fps`` is the frame
            rate of a source that is a folder.
        scale: Expected ratio of the sizes; any whole number if absent.

    Raises:
        BrokenVideo: if one of them cannot be read as a video, or has no frames.
    """
    before, after = _read("source", source, options), _read("result", result, VideoOptions())
    if source.is_file() and result.is_file():
        before = _with_decoded_sound(before, source, result, options)
    if result.is_dir():
        return list(_folder_comparisons(before.video, after.video, frame_paths(result), scale))
    comparisons = [*_video_comparisons(before.video, after.video, scale), *_other_comparisons(before, after)]
    if all(comparison.agrees for comparison in comparisons):
        return comparisons
    obstacles = unsupported_properties(result, earliest=min(track.timestamps.start for track in before.header.tracks))
    if source.is_file():
        main = next(track for track in after.header.tracks if track.kind == MAIN_VIDEO)
        possible = replace(before, header=muxable(source, before.header, result, main))
        lost = _names(_other_comparisons(before, after)) - _names(_other_comparisons(possible, after))
        # Sound that is there is never lost without a fault.
        sound = {_label(track) for track in before.header.tracks if track.kind == "audio" and track.packets}
        obstacles |= dict.fromkeys(lost - sound, "not supported by this container; mkv may store it")
    return [one if one.agrees else replace(one, obstacle=obstacles.get(one.name, "")) for one in comparisons]


def _read(role: str, path: Path, options: VideoOptions) -> Contents:
    try:
        if path.is_dir():
            return read_frames(path, options)
        return read_contents(path, start=options.start, duration=options.duration)
    except ImageError as error:
        raise BrokenVideo(f"the {role} {path} {error}", error.reason) from error


def _with_decoded_sound(before: Contents, source: Path, result: Path, options: VideoOptions) -> Contents:
    """Replace sound that the result's container cannot store by its PCM, as which it is written."""
    with open_video(source) as given, open_video(result) as made:
        muxer = muxer_name(made, result)
        window = window_of(Fraction(given.start_time or 0, av.time_base), options.start, options.duration)
        decoded = {stream.index for stream in given.streams if is_decodable(stream) and not supports(muxer, stream)}
    tracks = (
        decoded_track(source, track, window) if track.index in decoded else track for track in before.header.tracks
    )
    return replace(before, header=replace(before.header, tracks=tuple(tracks)))


def _video_comparisons(
    before: VideoProperties, after: VideoProperties, scale: int | None
) -> Iterator[PropertyComparison]:
    old, new = before.timestamps, after.timestamps
    yield compare_values("frames", len(old.ticks), len(new.ticks))
    yield compare_timestamps("timestamps", old, new)
    yield compare_times("start", (old.start, new.start), (old.time_base, new.time_base))
    if before.last_duration is not None and after.last_duration is not None:
        ends = old.length + before.last_duration, new.length + after.last_duration
        # The last timestamp and the last duration are both rounded.
        yield compare_times("duration", ends, (2 * old.time_base, 2 * new.time_base))
    yield _size(before.size, after.size, scale)
    yield _aspect(before.aspect, after)
    yield compare_values("rotation", before.rotation, after.rotation)
    for name, tag in before.tags.items():
        yield compare_values(name, tag, after.tags.get(name))


def _folder_comparisons(
    before: VideoProperties, after: VideoProperties, paths: Sequence[Path], scale: int | None
) -> Iterator[PropertyComparison]:
    yield compare_values("frames", len(before.timestamps.ticks), len(after.timestamps.ticks))
    turned = before.rotation.removeprefix("-").startswith("90 ")  # the images are upright
    yield _size(before.size[::-1] if turned else before.size, after.size, scale)
    for path, following in pairwise(paths):
        if frame_number(following) != frame_number(path) + 1:
            expected = f"{frame_number(path) + 1} after {path.name}"
            yield PropertyComparison("frame numbers", expected, following.name, agrees=False)
            return
    yield PropertyComparison("frame numbers", "consecutive", "consecutive", agrees=True)


def _size(before: tuple[int, int], after: tuple[int, int], scale: int | None) -> PropertyComparison:
    wanted = scale or max(1, after[0] // before[0])
    width, height = (side * wanted for side in before)
    text = f"{width}x{height}" if scale else f"{before[0]}x{before[1]} times a whole number"
    return PropertyComparison("size", text, f"{after[0]}x{after[1]}", after == (width, height))


def _aspect(wanted: Fraction, after: VideoProperties) -> PropertyComparison:
    """Compare pixel aspect ratios; some containers store them as a display width in whole pixels."""
    agrees = abs(wanted - after.aspect) * after.size[0] <= 1
    return PropertyComparison("pixel aspect", str(wanted), str(after.aspect), agrees)


def _other_comparisons(before: Contents, after: Contents) -> Iterator[PropertyComparison]:
    """Yield comparisons of streams, chapters and metadata: of all that the source has, and of surplus streams."""
    left = list(after.header.tracks)
    partners = []
    for track in before.header.tracks:
        partner = _partner(track, left)
        yield compare_values(_label(track), "present", "missing" if partner is None else "present")
        if partner is not None:
            left.remove(partner)
            partners.append(partner)
            yield from _track_comparisons(track, partner, before.video.timestamps, after.video.timestamps)
    for track in left:
        if not _holds_known_timecode(before, track):
            yield compare_values(f"{_label(track)} of the result", "nothing", "present")
    indices = [partner.index for partner in partners]
    yield compare_values("order of streams", sorted(indices), indices)
    yield from _chapter_comparisons(before.header.chapters, after.header.chapters)
    timecode = {key: text for track in left for key, text in track.metadata.items() if key == "timecode"}
    yield from compare_texts("metadata", before.header.metadata, {**timecode, **after.header.metadata})


def _holds_known_timecode(before: Contents, track: Track) -> bool:
    """Return whether a stream of the result was made from a timecode in the source's metadata."""
    known = [before.header.metadata, *(other.metadata for other in before.header.tracks)]
    timecode = track.metadata.get("timecode")
    return timecode is not None and timecode in (metadata.get("timecode") for metadata in known)


def _is_timecode(track: Track) -> bool:
    return track.kind == "data" and "timecode" in track.metadata


def _partner(track: Track, left: Sequence[Track]) -> Track | None:
    """Return the matching stream of the same kind: one with the same bytes, else one with the same codec."""
    kin = [other for other in left if other.kind == track.kind]
    copies = [other for other in kin if other.sha256 == track.sha256]
    return next(iter([*copies, *(other for other in kin if other.codec == track.codec)]), None)


def _track_comparisons(
    before: Track, after: Track, video: Timestamps, restored: Timestamps
) -> Iterator[PropertyComparison]:
    name = _label(before)
    if before.language is not None:
        yield compare_values(f"{name} language", before.language, after.language)
    for flag in sorted(before.flags):
        yield compare_values(f"{name} {flag}", "yes", "yes" if flag in after.flags else "no")
    yield from compare_texts(name, before.metadata, after.metadata)
    if before.kind == MAIN_VIDEO or _is_timecode(before):
        return  # a timecode stream has one packet, which repeats its metadata
    same_bytes = before.sha256 == after.sha256
    yield PropertyComparison(f"{name} bytes", before.sha256[:12], after.sha256[:12], same_bytes)
    if before.codec.startswith("pcm_") or not before.timestamps.ticks:
        return  # muxers split raw samples into packets of any size
    yield compare_values(f"{name} packets", before.packets, after.packets)
    yield compare_timestamps(f"{name} timestamps", before.timestamps, after.timestamps)
    yield compare_times(
        f"{name} offset from the video",
        (before.timestamps.start - video.start, after.timestamps.start - restored.start),
        (
            max(before.timestamps.time_base, video.time_base),
            max(after.timestamps.time_base, restored.time_base),
        ),
    )


def _chapter_comparisons(before: Sequence[Chapter], after: Sequence[Chapter]) -> Iterator[PropertyComparison]:
    if before or after:
        yield compare_values("chapters", len(before), len(after))
    for number, (old, new) in enumerate(zip(before, after, strict=False), 1):
        yield compare_values(f"chapter {number} title", old.title, new.title)
        yield compare_times(f"chapter {number} start", (old.start, new.start), (old.time_base, new.time_base))


def _label(track: Track) -> str:
    return f"stream {track.index} ({' '.join(filter(None, (track.kind, track.codec)))})"


def _names(comparisons: Iterable[PropertyComparison]) -> set[str]:
    return {comparison.name for comparison in comparisons}
