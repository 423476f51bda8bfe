"""Find the scenes of a video: each has strengths of its own, and no stage sees frames beyond a cut.

Where a scene begins is decided by the few frames around it, so that a resumed run, and workers that share a video,
decide as an uninterrupted run does. Strengths are chosen by the first frame of a scene, or of a scene's part in a
segment, for the same reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise, repeat

import torch.nn.functional as F
from torch import Tensor

from pipeline.engine.condition import measure_frame
from pipeline.engine.engine import Engine
from pipeline.video.surroundings import SegmentFrame

CUT_CONTEXT = 3
"""Frames before and behind the first one of a scene by which it is found."""

_THUMBNAIL = (9, 16)
# Mean differences of thumbnails.
_SURE = 40 / 255  # the fastest motion reaches 38
_POSSIBLE = 8 / 255
_TIMES_USUAL = 2.5  # what a cut that is not sure exceeds the changes around it by
_RETURN = 0.5  # of the difference: a flash is over when the frames are as alike again


class Scene:
    """Frames between two cuts, with strengths of their own.

    Args:
        parts: Engines of the chain's parts.

    Attributes:
        parts: The same with the strengths of this scene, once they are chosen.
    """

    def __init__(self, parts: Sequence[Engine]) -> None:
        self.parts = parts
        self._chosen = not any(part.chain.automatic for part in parts)

    def choose_strengths(self, frame: FlowingFrame) -> None:
        """Choose what is ``auto`` by the first intact frame that is given."""
        if self._chosen or frame.damaged:
            return
        condition = measure_frame(frame.image)
        self.parts = [part.adapted_to(condition) if part.chain.automatic else part for part in self.parts]
        self._chosen = True


@dataclass(frozen=True)
class FlowingFrame:
    """A frame on its way through a chain.

    Attributes:
        origin: What it was decoded as, and its place.
        image: ``(1, 3, H, W)`` in ``[0, 1]`` on the device, restored so far.
        excess: What the decoded values exceed that range by, ``(1, 3, H, W)``; of the frame as it was decoded.
        scene: The scene that it belongs to.
    """

    origin: SegmentFrame
    image: Tensor
    excess: Tensor
    scene: Scene

    @property
    def damaged(self) -> bool:
        """Whether the decoder concealed errors in it."""
        return self.origin.decoded.damaged


def in_scenes(frames: Iterable[FlowingFrame], size: int) -> Iterator[FlowingFrame]:
    """Yield the frames of a segment, each with its scene, but for those around it that belong to other scenes.

    Args:
        frames: Of one segment and around it, all in the scene that holds what is not chosen yet.
        size: Frames of the segment.
    """
    early: list[FlowingFrame] = []
    scene: Scene | None = None
    for frame, is_first in _with_cuts(frames):
        place = frame.origin.place
        if place < 0:
            early = [frame] if is_first else [*early, frame]
            continue
        if scene is None or is_first:
            if place >= size:
                return
            scene, same = Scene(frame.scene.parts), [] if is_first else early
            for one in (frame, *reversed(same)):
                scene.choose_strengths(one)
            yield from (replace(one, scene=scene) for one in same)
        scene.choose_strengths(frame)
        yield replace(frame, scene=scene)


def _with_cuts(frames: Iterable[FlowingFrame]) -> Iterator[tuple[FlowingFrame, bool]]:
    """Yield each frame with whether a scene begins with it."""
    around: deque[tuple[FlowingFrame, Tensor] | None] = deque([None] * 2 * CUT_CONTEXT, maxlen=2 * CUT_CONTEXT)
    for item in chain(((frame, _thumbnail(frame.image)) for frame in frames), repeat(None, CUT_CONTEXT - 1)):
        around.append(item)
        middle = around[CUT_CONTEXT]
        if middle is not None:
            before, behind = list(around)[:CUT_CONTEXT], list(around)[CUT_CONTEXT:]
            yield middle[0], is_cut([one[1] for one in before if one], [one[1] for one in behind if one])


def _thumbnail(image: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(image.float().mean(dim=1, keepdim=True), _THUMBNAIL).cpu()


def is_cut(before: Sequence[Tensor], behind: Sequence[Tensor]) -> bool:
    """Return whether a scene ends between two frames.

    They have to differ much, or at least several times as much as neighbours around them do; and no frame behind may
    be like one before, as after a flash. Repeated frames, which do not differ at all, do not count as usual.

    Args:
        before: Thumbnails of up to three frames before the place, in order.
        behind: Likewise behind it.
    """
    if not before or not behind:
        return False
    change = _difference(before[-1], behind[0])
    if change <= _POSSIBLE or min(_difference(one, other) for one in before for other in behind) < _RETURN * change:
        return False
    changes = [_difference(*pair) for pair in (*pairwise(before), *pairwise(behind))]
    return change > _SURE or change > _TIMES_USUAL * max((one for one in changes if one > 0), default=0.0)


def _difference(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().mean().item()
