"""What comes of running a chain: the image, and how it was computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from pipeline.condition.condition import Condition
from pipeline.engine.canvas import Image
from stages.findings import BlurFinding


@dataclass(frozen=True)
class Restoration(Generic[Image]):
    """A restored image, or batch of frames, and how it was computed.

    Attributes:
        pixels: The restored image.
        stages: The image after every stage, by stage name; empty unless asked for.
        seconds: By stage name; stages at strength 0 included.
        tile: Longest side of the tiles in pixels of the input; 0 for the whole image at once.
        device: Where it ran.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        backends: By stage name: ``torch``, ``torch compiled in 9.5 s``, ``ncnn``, ``openvino``, or
            ``openvino int8|bf16``.
        fp32_retries: Tiles that overflowed in half precision and were recomputed in fp32.
        noise_levels: Given or estimated, by the name of the stage that takes one; the mean over frames.
        strengths: By stage name; those that ``auto`` chose included.
        condition: What was measured to choose strengths; None where all were given.
        blurs: Found or given, by the name of the stage that undoes one; of the last frame.
        memory_retries: Times that memory ran out and the image was restarted with a smaller batch or tile.
    """

    pixels: Image
    stages: dict[str, Image]
    seconds: dict[str, float]
    tile: int
    device: str
    precision: str
    backends: dict[str, str]
    fp32_retries: int
    memory_retries: int
    noise_levels: dict[str, float] = field(default_factory=dict)
    strengths: dict[str, float] = field(default_factory=dict)
    condition: Condition | None = None
    blurs: dict[str, BlurFinding] = field(default_factory=dict)
