"""Small videos, as a camera or a video editor might write them."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

VideoWriter = Callable[..., Path]
TIME_BASE = Fraction(1, 12800)


@pytest.fixture
def write_video(tmp_path: Path) -> VideoWriter:
    """Write videos of colour noise that changes with every frame."""

    def write(
        name: str = "clip.mp4",
        *,
        times: Sequence[int] = tuple(range(0, 12 * 512, 512)),
        size: tuple[int, int] = (32, 24),
        pix_fmt: str = "yuv420p",
        codec: str = "libx264",
        audio: int = 0,
        options: dict[str, str] | None = None,
        prepare: Callable[[av.VideoStream], None] = lambda stream: None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(
                codec, rate=25, options=options or {"crf": "12"} if codec == "libx264" else {}
            )
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            stream.codec_context.time_base = stream.time_base = TIME_BASE
            prepare(stream)
            tracks = [container.add_stream("aac", rate=48000, layout="mono") for _ in range(audio)]
            for number, pts in enumerate(times):
                container.mux(stream.encode(paint(number, pts, size, pix_fmt)))
            container.mux(stream.encode(None))
            for track in tracks:
                tone = av.AudioFrame.from_ndarray(np.zeros((1, 24000), np.float32), "fltp", "mono")
                tone.sample_rate, tone.pts, tone.time_base = 48000, 0, Fraction(1, 48000)
                container.mux(track.encode(tone))
                container.mux(track.encode(None))
        return path

    return write


def paint(number: int, pts: int, size: tuple[int, int], pix_fmt: str) -> av.VideoFrame:
    """Return one frame of noise over the whole range of each plane."""
    frame = av.VideoFrame(*size, pix_fmt)
    dtype = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else np.uint16)
    for plane in frame.planes:
        noise = np.random.default_rng(number).integers(0, 1 << frame.format.components[0].bits, plane.buffer_size)
        values = np.frombuffer(plane, dtype)
        values[:] = noise[: values.size]
    frame.pts, frame.time_base = pts, TIME_BASE
    return frame
