"""Restore one video in three overlapping steps: decode -> compute -> encode.

    thread: decode, batch frames -> thread: upload, RGB, chain, YUV, download -> caller: encode segments

Encoded frames are kept in segments, so the next run resumes after the last complete one; joined, they are the result.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from itertools import chain, islice, takewhile
from pathlib import Path

import av

from pipeline.engine.engine import Engine
from pipeline.errors import BrokenVideo, RefusedVideo
from pipeline.pixels import Pixels
from pipeline.video.device import DeviceStep, RestoredFrame, batch_size
from pipeline.video.encoder import layout_for
from pipeline.video.job_marker import is_marked_for, recreate_for
from pipeline.video.join import join, try_to_join
from pipeline.video.losses import change_of_format, early_end, loses_detail
from pipeline.video.notes import Note, one_line_a_kind
from pipeline.video.options import VideoOptions
from pipeline.video.planes import pix_fmt_of
from pipeline.video.progress import RestoredVideo, VideoProgress
from pipeline.video.reader import DecodedFrame
from pipeline.video.segments import (
    FrameTiming,
    Segment,
    commit,
    notes_on_damage,
    segment_path,
    whole_segment,
    whole_segments,
    working_path,
    write_segment,
)
from pipeline.video.sources import VideoSource
from pipeline.video.steps import TimedIterator, in_background
from pipeline.video.surroundings import VIDEO_START, SegmentFrame, SegmentStart, batches, in_segments
from pipeline.video.window import window_of

_AHEAD = 2
_AHEAD_OF_ENCODER = 8
_DISCARDED = "discarded the partial output of another chain, other options or another input"


class VideoRestoration:
    """Restores a video into a file.

    Args:
        source: The frames, and the file to copy other streams from.
        engine: Runs the chain.
        options: How the result is written.
        folder: Holds the segments; it may contain those of an interrupted run.
        job: Identifies everything that determines the frames: input, chain, options. Segments of another job are
            deleted.
        save: Called with the number, counted from 0, and the pixels of each frame.
        on_frame: Called after every frame.
    """

    def __init__(
        self,
        source: VideoSource,
        engine: Engine,
        options: VideoOptions,
        folder: Path,
        *,
        job: str = "",
        save: Callable[[int, Pixels], None] | None = None,
        on_frame: Callable[[VideoProgress], None] = lambda progress: None,
    ) -> None:
        self.source = source
        self.footage = source.footage
        self.engine = engine
        self.options = options
        self.folder = folder
        self.save = save
        self.on_frame = on_frame
        self.layout = layout_for(self.footage, options, engine.chain.scale)
        self.device_step = DeviceStep(
            engine,
            source,
            self.layout,
            keep_pixels=save is not None,
            segment=options.segment,
            batch=batch_size(options.batch, engine.device),
        )
        self.window = window_of(self.footage.begin, options.start, options.duration)
        self.defects: dict[Note, None] = {}
        self.discarded = False
        if not is_marked_for(folder, job):
            self.discarded = any(folder.glob("[0-9]*.json"))
            recreate_for(folder, job)

    def segment_starts(self) -> tuple[list[SegmentStart], int]:
        """Decode the video, and return where each segment begins and the number of frames."""
        starts, count = list[SegmentStart](), 0
        before: deque[int] = deque(maxlen=self.device_step.context)
        for count, frame in enumerate(self._decoded_frames(None), start=1):
            if (count - 1) % self.options.segment == 0:
                starts.append(SegmentStart(frame.pts, tuple(before)))
            before.append(frame.pts)
        return starts, count

    def segments_there(self, starts: Sequence[SegmentStart]) -> dict[int, int]:
        """Return the number of frames of each segment that is complete, by its number.

        Args:
            starts: From ``segment_starts``.
        """
        found = {index: whole_segment(self.folder, index) for index in range(len(starts))}
        return {
            index: len(segment.timings)
            for index, segment in found.items()
            if segment is not None and segment.timings[0].pts == starts[index].pts
        }

    def restore_segment(self, index: int, start: SegmentStart) -> VideoProgress:
        """Restore one segment, whatever others there are.

        One that does not begin there, because seeking in the source is not exact, is dropped; ``run`` restores it.

        Args:
            index: Its number.
            start: Where it begins.
        """
        size = self.options.segment
        progress = VideoProgress(size, index * size)
        frames = takewhile(lambda frame: frame.segment == 0, self._segment_frames(start))
        for segment in self._segments(frames, index, progress):
            if segment.timings[0].pts != start.pts:
                segment.path.with_suffix(".json").unlink()
        return progress

    def run(self, target: Path, resumed: int | None = None) -> RestoredVideo:
        """Restore the missing frames and mux everything into ``target``, whose suffix selects the container.

        Args:
            target: The file to write.
            resumed: Frames that earlier runs left; all that are there where it is not given.

        Raises:
            BrokenVideo: if the input is corrupt and ``options.strict`` is set, or if the output cannot be written.
            RefusedVideo: if there are no frames in the selected part, or if they cannot be restored.
        """
        segments = list(whole_segments(self.folder))
        self.defects |= dict.fromkeys(note for segment in segments for note in segment.defects)
        there = sum(len(segment.timings) for segment in segments)
        resumed = there if resumed is None else resumed
        self.try_to_write(target, segments)
        progress = VideoProgress(self._total(), there)
        frames = self._segment_frames(self._start_behind(segments))
        segments += self._segments(frames, len(segments), progress)
        if not segments:
            raise RefusedVideo("has no frames in the selected time range")
        rounded = join(target, self.source.file, segments, self.footage, self.window)
        layouts = self.footage.layout, self.layout
        notes = [
            *self.footage.notes,
            *([] if loses_detail(*layouts) else change_of_format(*layouts)),
            *([_DISCARDED] if self.discarded else []),
            *([f"resumed an interrupted run after its first {resumed} frames"] if resumed else []),
            *rounded,
        ]
        losses = [
            *(change_of_format(*layouts) if loses_detail(*layouts) else []),
            *one_line_a_kind(self.defects),
            *one_line_a_kind(notes_on_damage(segments, self.footage)),
            *early_end(self.footage, self.window, segments[-1]),
        ]
        width, height = self.footage.size
        scale = self.engine.chain.scale
        return RestoredVideo(
            (width * scale, height * scale), progress, tuple(notes), tuple(losses), self.device_step.totals
        )

    def try_to_write(self, target: Path, segments: Sequence[Segment] = ()) -> None:
        """Encode a gray frame if there is no segment yet, and mux it with all other streams into nowhere.

        Raises:
            BrokenVideo: if it cannot be written.
        """
        if segments:
            try_to_join(target.suffix, self.source.file, segments[0], self.footage, self.window)
            return
        begin = self.footage.begin if self.window.begin is None else self.window.begin
        timing = FrameTiming(-(-begin // self.footage.time_base), 0)
        width, height = (side * self.engine.chain.scale for side in self.footage.size)
        blank = av.VideoFrame(width, height, pix_fmt_of(self.layout))
        for plane in blank.planes:
            plane.update(bytes(plane.buffer_size))
        path = self.folder / "trial.mkv"
        timings, order = self._encode(path, iter([(blank, timing)]))
        trial = Segment(path, timings, order, (), "")
        try_to_join(target.suffix, self.source.file, trial, self.footage, self.window)
        path.unlink()

    def _segments(self, source: Iterable[SegmentFrame], index: int, progress: VideoProgress) -> Iterator[Segment]:
        """Run the three steps, and yield the encoded segments, from the one of this number on."""
        loads, size = progress.loads, self.device_step.batch
        with ExitStack() as stack:
            decoded = in_background(batches(source, size), _AHEAD, loads["decode"])
            stack.enter_context(closing(decoded))
            restored = self.device_step.restore(TimedIterator(decoded, loads["compute"]))
            computed = in_background(restored, max(1, _AHEAD_OF_ENCODER // size), loads["compute"])
            stack.enter_context(closing(computed))
            frames = self._counted(chain.from_iterable(TimedIterator(computed, loads["encode"])), progress)
            while (first := next(frames, None)) is not None:
                yield self._write(index, chain([first], islice(frames, self.options.segment - 1)))
                index += 1

    def _start_behind(self, segments: Sequence[Segment]) -> SegmentStart:
        """Return where the segment after those that are there begins."""
        if not segments:
            return VIDEO_START
        presented = [timing.pts for segment in segments for timing in segment.timings]
        context = self.device_step.context
        return SegmentStart(presented[-1] + 1, tuple(presented[-context:] if context else ()))

    def _segment_frames(self, start: SegmentStart) -> Iterator[SegmentFrame]:
        """Decode from a segment on, and yield the frames of each with those around it."""
        frames = self._decoded_frames(None if start == VIDEO_START else start.since)
        return in_segments(frames, self.options.segment, self.device_step.context, start)

    def _decoded_frames(self, since: int | None) -> Iterator[DecodedFrame]:
        time_base, begin = self.footage.time_base, self.window.begin
        if since is None and begin is not None:
            since = -(-begin // time_base)
        frames = self.source.frames(since, self._note)
        for frame in takewhile(lambda frame: not self.window.passed(frame.pts * time_base), frames):
            if frame.damaged and self.options.strict:
                self._note("a frame is damaged", f"at {float(frame.pts * time_base - self.footage.begin):.3f} s")
            yield frame

    def _note(self, what: str, where: str) -> None:
        if self.options.strict:
            raise BrokenVideo(f"{what} {where}; the option strict makes this an error")
        self.defects[what, where] = None

    def _counted(self, frames: Iterable[RestoredFrame], progress: VideoProgress) -> Iterator[RestoredFrame]:
        """Yield frames to the encoder, and update the progress after each."""
        load = progress.loads["encode"]
        for frame in frames:
            if self.save is not None and frame.pixels is not None:
                self.save(progress.frames, frame.pixels)
            yield frame
            progress.frames += 1
            progress.fresh += 1
            load.busy = time.perf_counter() - progress.started - load.starved
            self.on_frame(progress)

    def _write(self, index: int, frames: Iterable[RestoredFrame]) -> Segment:
        place = segment_path(self.folder, index)
        made = working_path(place)
        pairs: Iterator[tuple[av.VideoFrame, FrameTiming]] = ((one.frame, one.timing) for one in frames)
        timings, order = self._encode(made, pairs)
        return commit(made, place, timings, order, self.defects)

    def _encode(
        self, path: Path, frames: Iterable[tuple[av.VideoFrame, FrameTiming]]
    ) -> tuple[tuple[FrameTiming, ...], tuple[int, ...]]:
        return write_segment(path, frames, self.footage, self.layout, self.engine.chain.scale, self.options)

    def _total(self) -> int | None:
        duration = self.footage.duration
        if duration is None:
            return None
        left = duration - Fraction(self.options.start)
        wanted = left if self.options.duration is None else min(left, Fraction(self.options.duration))
        return max(0, round(wanted * self.footage.rate))
