"""Frames that flow through a chain, as from a decoder, and a video whose frames are alike."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from pipeline.engine.engine import Engine
from pipeline.video.neighbours import context_of, restored_segment
from pipeline.video.reader import DecodedFrame
from pipeline.video.scenes import FlowingFrame, Scene
from pipeline.video.surroundings import in_segments
from tests.pipeline.conftest import TIME_BASE


def run(part: Engine, frames: Tensor, windows: Tensor | None) -> Tensor:
    return part.run_frames(frames, windows=windows).pixels


def segments_of(
    images: Tensor, parts: Sequence[Engine], size: int, damaged: Collection[int] = ()
) -> Iterator[list[FlowingFrame]]:
    """Yield each segment's frames with those around it; their timestamps are their numbers."""
    decoded = [DecodedFrame(None, number, 1, damaged=number in damaged) for number in range(len(images))]
    scene, found = Scene(parts), dict[int, list[FlowingFrame]]()
    for frame in in_segments(decoded, size, context_of(parts)):
        image = images[frame.decoded.pts][None]
        found.setdefault(frame.segment, []).append(FlowingFrame(frame, image, torch.zeros_like(image), scene))
    yield from found.values()


@torch.inference_mode()
def restored(
    engine: Engine, images: Tensor, *, size: int = 250, batch: int = 1, damaged: Collection[int] = ()
) -> Tensor:
    """Restore frames, ``(N, 3, H, W)``, in segments."""
    parts = engine.parts()
    made = [
        frame.image
        for segment in segments_of(images, parts, size, damaged)
        for frame in restored_segment(segment, parts, size, batch, run)
    ]
    return torch.cat(made)


def write_moving(path: Path) -> Path:
    """Write 15 frames at uneven times, of an odd height, with B-frames, a keyframe every five, and one cut."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12", "g": "5", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 33, 23, "yuv444p"
        stream.codec_context.time_base = stream.time_base = TIME_BASE
        for number in range(15):
            rows, columns = np.ogrid[:23, :33]
            levels = (60 if number < 9 else 150) + 30 * np.sin((rows + columns + number) / 4)
            frame = av.VideoFrame.from_ndarray(np.repeat(levels[..., None], 3, 2).astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = 512 * number + 40 * (number % 3), TIME_BASE
            container.mux(stream.encode(frame.reformat(format="yuv444p")))
        container.mux(stream.encode(None))
    return path
