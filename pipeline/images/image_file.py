"""A still image in memory: pixels, alpha and metadata."""

from dataclasses import dataclass, field

from pipeline.images.metadata import Metadata
from pipeline.pixels import Pixels, white


@dataclass(frozen=True)
class ImageFile:
    """One still image with what its file holds besides the pixels.

    Args:
        pixels: Upright; ``(H, W, 3)`` RGB or ``(H, W)`` gray; uint8, uint16, or float32 in [0, 1]. In the
            encoding of the file, which the ICC profile among the metadata defines.
        alpha: ``(H, W)``, same dtype, not multiplied into the pixels; None for an opaque image.
        metadata: What is carried to the output.
        notes: What was converted or carried in another form, for the run log.
        losses: What of the file is left behind, likewise.
        luma_table: Of a JPEG file: the 64 steps by which its luma was quantised.
        bits: Of a channel in the file, where its type in memory has more (AVIF of 10 or 12 bits); else None.
        lossless: Whether its file holds it exactly though the format could do otherwise (WebP).
    """

    pixels: Pixels
    alpha: Pixels | None = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    bits: int | None = None
    lossless: bool = False
    luma_table: tuple[int, ...] = ()

    @property
    def transparent(self) -> bool:
        """Whether alpha hides anything; many opaque images are stored with one."""
        return self.alpha is not None and bool((self.alpha != white(self.pixels.dtype)).any())
