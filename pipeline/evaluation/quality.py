"""What a comparison of one input with its reference found."""

from __future__ import annotations

from dataclasses import dataclass, field

Scores = dict[str, float]


@dataclass(frozen=True)
class Quality:
    """Scores of an input's results against its reference.

    Attributes:
        reference: The file; None where there is not exactly one.
        scores: By variant (``bicubic``, ``after STAGE``, ``without STAGE``): ``psnr_rgb`` and ``psnr_y`` in dB,
            100 for equal images, ``ssim_y``, and ``lpips`` where asked for. Empty until they are compared.
        error: Why they cannot be compared; the restoration is not affected by it.
    """

    reference: str | None = None
    reference_sha256: str | None = None
    scores: dict[str, Scores] = field(default_factory=dict)
    error: str | None = None
