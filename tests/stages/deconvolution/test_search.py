import pytest
import torch

from stages.blind_deconvolution import motion_kernel
from stages.deconvolution import search
from stages.deconvolution.candidates import Candidate
from stages.deconvolution.places import Places
from stages.deconvolution.search import Search, find_blur

KERNEL = motion_kernel(9, 0)
NINE = KERNEL.expand(3, 3, -1, -1)


def found(places: Places | None, monkeypatch: pytest.MonkeyPatch) -> Search:
    """What becomes of a kernel that all estimates agree in, with these kernels of the parts."""
    monkeypatch.setattr(search, "blur_width", lambda gray: 3.0)
    monkeypatch.setattr(search, "estimated", lambda *_, linear: Candidate(KERNEL, linear, 1.0))
    monkeypatch.setattr(search, "kernels_by_place", lambda *_, linear: places)
    return find_blur(torch.rand(3, 64, 64), 9, "encoded")


@pytest.mark.parametrize(
    ("places", "kernels", "strength", "reason"),
    [
        (None, 1, 1.0, "a shake"),
        (Places(None, 0.9), 1, 1.0, "a shake"),
        (Places(None, 0.7), 1, 0.7, "a shake, undone in part: parts of the photo agree to 0.70 only"),
        (Places(NINE, 0.9), 3, 1.0, "a shake that differs from place to place"),
        (Places(NINE, 0.7), 3, 0.7, "a shake that differs from place to place, undone in part: parts of the photo"),
    ],
    ids=["small photo", "supported", "doubted", "turned", "turned and doubted"],
)
def test_parts_of_a_photo_decide_how_far_its_kernel_is_trusted(
    places: Places | None, kernels: int, strength: float, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = found(places, monkeypatch)
    assert result.by_place is not None
    assert len(result.by_place) == kernels
    assert result.strength == strength
    assert result.reason.startswith(reason)
