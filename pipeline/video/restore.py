"""One film through a chain, in three steps that overlap: decode -> device -> encode.

    thread: decode, batches of frames -> thread: upload, RGB, chain, YUV, download -> caller: encode segments

What is encoded is kept in segments, so the next run goes on behind the last whole one; joined, they are the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, islice, takewhile
from pathlib import Path

import av

from pipeline.engine.engine import Engine
from pipeline.errors import BrokenVideo, RefusedVideo
from pipeline.pixels import Pixels
from pipeline.video.device import Account, DeviceStep, Made, batch_size, batches
from pipeline.video.encoder import layout_for
from pipeline.video.join import join
from pipeline.video.mark import is_marked, mark_anew
from pipeline.video.options import VideoOptions
from pipeline.video.planes import pix_fmt_of
from pipeline.video.reader import DecodedFrame
from pipeline.video.segments import (
    Segment,
    Shown,
    commit,
    damaged_stretches,
    segment_path,
    whole_segments,
    write_segment,
)
from pipeline.video.sources import VideoSource
from pipeline.video.steps import Load, Waiting, side_by_side
from pipeline.video.window import window_of

_AHEAD = 2
_AHEAD_OF_ENCODER = 8
_DROPPED = "what a run with another chain, other options or another input had begun was dropped"
_MUCH = 0.5  # seconds by which a film may be shorter than sound beside it


@dataclass
class Progress:
    """How far a film is.

    Attributes:
        frames: Encoded, those of earlier runs included.
        total: Of the film, as far as its head tells.
        fresh: Encoded in this run.
        loads: What each step does with its time.
    """

    total: int | None
    frames: int = 0
    fresh: int = 0
    loads: dict[str, Load] = field(default_factory=lambda: {name: Load() for name in ("decode", "compute", "encode")})
    started: float = field(default_factory=time.perf_counter)

    @property
    def rate(self) -> float:
        """Return the frames of this run a second."""
        return self.fresh / max(1e-9, time.perf_counter() - self.started)

    @property
    def limit(self) -> str:
        """Return the step that waits least for the others."""
        return min(self.loads, key=lambda name: self.loads[name].waiting)


@dataclass(frozen=True)
class Restored:
    """What became of a film.

    Attributes:
        size: Width and height of the result in pixels.
        notes: What was guessed, damaged or left behind.
        account: What the engine did in this run.
    """

    size: tuple[int, int]
    progress: Progress
    notes: tuple[str, ...]
    account: Account


class VideoRestoration:
    """A film on its way into a file.

    Args:
        film: Its frames.
        engine: The chain.
        options: How it is written.
        folder: Where its segments are kept.
        job: What determines every frame: input, chain, options. Segments of another one are removed.
        save: Given the number, from 0, and the pixels of each frame.
        tell: Called after every frame.
    """

    def __init__(
        self,
        film: VideoSource,
        engine: Engine,
        options: VideoOptions,
        folder: Path,
        *,
        job: str = "",
        save: Callable[[int, Pixels], None] | None = None,
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.film = film
        self.footage = film.footage
        self.engine = engine
        self.options = options
        self.folder = folder
        self.save = save
        self.tell = tell
        self.layout = layout_for(self.footage, options, engine.chain.scale)
        self.device_step = DeviceStep(engine, film, self.layout, keep_pixels=save is not None)
        self.window = window_of(self.footage.begin, options.start, options.duration)
        self.notes: dict[str, None] = {}
        if not is_marked(folder, job):
            if any(folder.glob("[0-9]*.json")):
                self.notes[_DROPPED] = None
            mark_anew(folder, job)

    def run(self, target: Path) -> Restored:
        """Restore what is missing and join all into ``target``, whose suffix names the container.

        Raises:
            BrokenVideo: if the input is damaged and ``options.strict``, or if the output cannot be written.
            RefusedVideo: if there are no frames, or if they cannot be restored.
        """
        segments = list(whole_segments(self.folder))
        self.notes |= dict.fromkeys(note for segment in segments for note in segment.notes)
        there = sum(len(segment.shown) for segment in segments)
        progress = Progress(self._total(), there)
        segments += self._fresh_segments(segments, progress)
        if not segments:
            raise RefusedVideo("holds no frames in the time that was asked for")
        rounded = join(target, self.film.beside, segments, self.footage, self.window)
        notes = [
            *self._notes_before(),
            *([f"the first {there} frames were there from a run that had not ended"] if there else []),
            *self.notes,
            *damaged_stretches(segments, self.footage),
            *self._early_end(segments[-1]),
            *rounded,
        ]
        width, height = self.footage.size
        scale = self.engine.chain.scale
        return Restored((width * scale, height * scale), progress, tuple(notes), self.device_step.account)

    def _fresh_segments(self, before: list[Segment], progress: Progress) -> Iterator[Segment]:
        """Run the three steps, and yield what is encoded."""
        loads = progress.loads
        shots = self._shots(before[-1].shown[-1].pts + 1 if before else None)
        size = batch_size(self.options.batch, self.engine.device)
        with ExitStack() as stack:
            decoded = side_by_side(batches(shots, size, self.options.segment), _AHEAD, loads["decode"])
            stack.enter_context(closing(decoded))
            made = map(self.device_step.restore, Waiting(decoded, loads["compute"]))
            computed = side_by_side(made, max(1, _AHEAD_OF_ENCODER // size), loads["compute"])
            stack.enter_context(closing(computed))
            frames = self._counted(chain.from_iterable(Waiting(computed, loads["encode"])), progress)
            index = len(before)
            while (first := next(frames, None)) is not None:
                yield self._write(index, chain([first], islice(frames, self.options.segment - 1)))
                index += 1

    def _shots(self, since: int | None) -> Iterator[DecodedFrame]:
        time_base, begin = self.footage.time_base, self.window.begin
        if since is None and begin is not None:
            since = -(-begin // time_base)
        shots = self.film.shots(since, self._note)
        for shot in takewhile(lambda shot: not self.window.passed(shot.pts * time_base), shots):
            if shot.damaged and self.options.strict:
                self._note(f"damaged at {float(shot.pts * time_base - self.footage.begin):.3f} s")
            yield shot

    def _note(self, text: str) -> None:
        if self.options.strict:
            raise BrokenVideo(f"{text}; without --strict it is passed through")
        self.notes[text] = None

    def _counted(self, frames: Iterable[Made], progress: Progress) -> Iterator[Made]:
        """Hand out frames, one by one, to whoever encodes them, and tell how far they are."""
        load = progress.loads["encode"]
        for made in frames:
            if self.save is not None and made.pixels is not None:
                self.save(progress.frames, made.pixels)
            yield made
            progress.frames += 1
            progress.fresh += 1
            load.busy = time.perf_counter() - progress.started - load.starved
            self.tell(progress)

    def _write(self, index: int, frames: Iterable[Made]) -> Segment:
        path = segment_path(self.folder, index)
        pairs: Iterator[tuple[av.VideoFrame, Shown]] = ((made.frame, made.shown) for made in frames)
        shown, order = write_segment(path, pairs, self.footage, self.layout, self.engine.chain.scale, self.options)
        return commit(path, shown, order, self.notes)

    def _total(self) -> int | None:
        duration = self.footage.duration
        if duration is None:
            return None
        left = duration - Fraction(self.options.start)
        wanted = left if self.options.duration is None else min(left, Fraction(self.options.duration))
        return max(0, round(wanted * self.footage.rate))

    def _early_end(self, last: Segment) -> Iterator[str]:
        """Tell if the film is shorter than its file says, as one is that was cut off."""
        duration, shown = self.footage.duration, last.shown[-1]
        ended = (shown.pts + shown.duration) * self.footage.time_base - self.footage.begin
        if duration is not None and self.window.stop is None and ended < duration - _MUCH:
            yield f"ends at {float(ended):.3f} s, although the file says {float(duration):.3f} s"

    def _notes_before(self) -> Iterator[str]:
        yield from self.footage.notes
        if self.layout != self.footage.layout:
            yield f"{pix_fmt_of(self.footage.layout)} becomes {pix_fmt_of(self.layout)}"
