"""What is recorded of one input: a line of the run log."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pipeline.evaluation.quality import Quality

if TYPE_CHECKING:
    from pipeline.engine.restoration import Restoration
    from pipeline.video.device import EngineTotals
    from stages.findings import BlurFinding

Status = Literal["pending", "done", "skipped", "failed", "refused", "ignored"]


@dataclass(frozen=True)
class Record:
    """What became of one input.

    Attributes:
        input: The file as the user gave it.
        output: The result, relative to the output folder, so that the folder can be moved with its report.
        reason: Of what was not restored: why, as of ``ImageError``, ``memory`` or ``internal``.
        notes: What was converted, guessed or carried in another form.
        losses: What the result lacks of the input, a line each.
        seconds: Time spent on this input: reading, computing, comparing and writing, without waiting for others.
        stage_seconds: Computing time by stage.
        tile: Longest side of the tiles in pixels; 0 for the whole image at once.
        backends: What ran each stage: ``torch``, ``torch compiled in 9.5 s``, ``ncnn``, ``openvino``, or
            ``openvino int8|bf16``.
        chain: Fingerprint of all options and weights that change pixels.
        weights: SHA-256 of the weights files by stage.
        origins: Name, licence and origin of weights from the catalogue by stage.
        noise_levels: Of an image: in gray levels, given or estimated, by the stage that takes one.
        condition: What was measured to choose strengths, of an image, or of the first scene of a video that the run
            restored; empty where all were given.
        strengths: By stage, likewise.
        blurs: Of an image: by the stage that undoes one, what it found, and the kernel as the data URL of a PNG.
        fp32_retries: How often a result in half precision was not finite and was computed again.
        memory_retries: How often memory ran out and the tile was halved.
        input_size: Width and height in pixels.
        quality: Absent where no references were given.
        frames: Of a video.
        waiting: Of a video: share of the time in which each step (decode, compute, encode) waited for the others.
        differs: Of a video: what differs from its source, a line each.
        flicker: Of a video: the warping errors (``pipeline.video.flicker``) of source, result and reference.
    """

    input: str
    output: str | None
    status: Status = "pending"
    error: str | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    seconds: float = 0.0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    tile: int | None = None
    precision: str | None = None
    device: str | None = None
    backends: dict[str, str] = field(default_factory=dict)
    chain: str = ""
    weights: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    noise_levels: dict[str, float] = field(default_factory=dict)
    condition: dict[str, float] = field(default_factory=dict)
    strengths: dict[str, float] = field(default_factory=dict)
    blurs: dict[str, dict[str, str]] = field(default_factory=dict)
    fp32_retries: int = 0
    memory_retries: int = 0
    input_sha256: str | None = None
    output_sha256: str | None = None
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    quality: Quality | None = None
    frames: int | None = None
    waiting: dict[str, float] = field(default_factory=dict)
    differs: tuple[str, ...] = ()
    flicker: dict[str, dict[str, float]] = field(default_factory=dict)

    def computed(self, run: Restoration[Any] | EngineTotals) -> Record:
        """Return the record completed by the engine's account of its work."""
        names = ("tile", "device", "precision", "backends", "strengths", "fp32_retries", "memory_retries")
        seconds = {name: round(seconds, 3) for name, seconds in run.seconds.items()}
        condition = run.condition.rounded() if run.condition else {}
        computed = {name: getattr(run, name) for name in names}
        return replace(self, stage_seconds=seconds, condition=condition, **computed)

    @property
    def chosen(self) -> str:
        """Strengths and why: ``noise 9.4, blur 0.8 px, JPEG 72: dncnn 1, unet 0.3``; empty where all were given."""
        if not self.condition:
            return ""
        from pipeline.condition.condition import Condition  # imports numpy, which --help can do without

        strengths = ", ".join(f"{name} {strength:.3g}" for name, strength in self.strengths.items())
        return f"{Condition(**self.condition)}: {strengths}"  # type: ignore[arg-type]

    def spent_since(self, started: float) -> Record:
        """Return the record with the seconds since then, by ``time.perf_counter``, added."""
        return replace(self, seconds=round(self.seconds + time.perf_counter() - started, 3))

    def line(self) -> bytes:
        """Return the record as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


def blur_record(finding: BlurFinding) -> dict[str, str]:
    """Return what is recorded of a blur; without a kernel where the image was left alone."""
    if finding.kernel is None:
        return {"found": finding.text}
    from stages.kernel_files import encode_kernel

    kernel = base64.b64encode(encode_kernel(finding.kernel)).decode()
    return {"found": finding.text, "kernel": f"data:image/png;base64,{kernel}"}
