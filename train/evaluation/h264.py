"""What H.264 leaves of an image, as in a frame of a video."""

from __future__ import annotations

from io import BytesIO

import av
import numpy as np
import torch
from torch import Tensor


def compress_h264(image: Tensor, crf: int) -> Tensor:
    """Encode an image as a keyframe of H.264, 4:2:0, and decode it.

    Args:
        image: ``(1, 3, H, W)`` in ``[0, 1]``, with even sides.
        crf: x264's constant rate factor, 0 (best) to 51.
    """
    file, pixels = BytesIO(), image[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
    with av.open(file, "w", format="matroska") as encoder:
        options = {"crf": str(crf), "preset": "medium", "threads": "1"}
        stream = encoder.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
        encoder.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        encoder.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as decoder:
        frame = next(decoder.decode(video=0))
    return torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)[None].float() / 255
