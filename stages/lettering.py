"""Text in images, in the font that OpenCV ships (ASCII only)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BLACK = (60, 60, 60)


def write_text(
    image: np.ndarray[Any, Any],
    text: str,
    place: tuple[int, int],
    *,
    before: float = 0,
    size: float = 0.4,
    colour: tuple[int, int, int] = _BLACK,
) -> None:
    """Write text on a line through ``place`` of ``(H, W, 3)`` bytes, with a share of its width ``before`` it."""
    (width, _), _ = cv2.getTextSize(text, _FONT, size, 1)
    cv2.putText(image, text, (place[0] - round(before * width), place[1]), _FONT, size, colour, 1, cv2.LINE_AA)
