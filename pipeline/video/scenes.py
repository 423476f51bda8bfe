"""Choose strengths once for every scene of a video, by its first frame.

A scene ends where a frame differs from the one before it all over the image. Each segment begins one as well, so that
resumed runs, and workers that share a video, choose as an uninterrupted run does.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor

from pipeline.engine.condition import measure_frame
from pipeline.engine.engine import Engine

_THUMBNAIL = (9, 16)
_CUT = 20 / 255  # mean difference of thumbnails; fast motion reaches 15


class Scenes:
    """Follows the scenes of a part of a video.

    Args:
        engine: Runs the chain; where no strength is ``auto``, nothing is measured.
    """

    def __init__(self, engine: Engine) -> None:
        self._automatic = engine
        self._adapted = engine
        self._last: Tensor | None = None

    def parts(self, frames: Tensor) -> Iterator[tuple[Tensor, Engine]]:
        """Yield the frames of each scene in a batch, ``(n, 3, H, W)``, with its engine."""
        if not self._automatic.chain.automatic:
            yield frames, self._automatic
            return
        thumbnails = F.adaptive_avg_pool2d(frames.float().mean(dim=1, keepdim=True), _THUMBNAIL)
        begin = 0
        for at, thumbnail in enumerate(thumbnails):
            if self._last is None or (thumbnail - self._last).abs().mean().item() > _CUT:
                if at > begin:
                    yield frames[begin:at], self._adapted
                begin = at
                self._adapted = self._automatic.adapted_to(measure_frame(frames[at : at + 1]))
            self._last = thumbnail
        yield frames[begin:], self._adapted
