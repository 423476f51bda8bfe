"""The warping error is the difference that motion does not explain."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import RefusedVideo
from pipeline.video.flicker import Frame, flicker_of_files, warping_errors
from tests.pipeline.video import clips


def moving(step: int, length: int = 3) -> list[Frame]:
    """A soft texture that moves by ``step`` pixels a frame."""
    noise = np.random.default_rng(0).uniform(0, 255, (160, 200, 3)).astype(np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 60, 195, cv2.NORM_MINMAX).astype(np.uint8)
    return [texture[step * at : step * at + 96, step * at : step * at + 128] for at in range(length)]


def flickering(frames: list[Frame], sigma: float) -> list[Frame]:
    random = np.random.default_rng(1)
    return [(frame + random.normal(0, sigma, frame.shape)).round().astype(np.uint8) for frame in frames]


def upscaled(frames: list[Frame], scale: int) -> list[Frame]:
    return [cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) for frame in frames]


def test_a_static_video_does_not_flicker() -> None:
    still = moving(0)
    result = warping_errors(still, {"result": upscaled(still, 2)})["result"]
    assert (result.squared, result.absolute, result.seen, result.pairs) == (0, 0, 1, 2)


@pytest.mark.parametrize("sigma", [2, 4, 8])
def test_noise_over_a_static_video_counts_with_its_variance(sigma: float) -> None:
    still = moving(0)
    result = warping_errors(still, {"result": flickering(still, sigma)})["result"]
    # The difference of two independent normal values, both rounded.
    variance = 2 * (sigma**2 + 1 / 12)
    assert result.squared == pytest.approx(variance / 255**2, rel=0.03)
    assert result.absolute == pytest.approx((2 * variance / np.pi) ** 0.5, rel=0.03)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_motion_is_not_flicker(scale: int) -> None:
    video = moving(3)
    result = warping_errors(video, {"result": upscaled(video, scale)})["result"]
    stuck = warping_errors(moving(0), {"result": upscaled(video, scale)})["result"]
    assert result.absolute < 0.2
    assert stuck.absolute > 20 * result.absolute
    assert 0.8 < result.seen < 1


def test_flicker_is_measured_under_motion() -> None:
    video = moving(3)
    errors = warping_errors(video, {"calm": flickering(video, 1), "restless": flickering(video, 6)})
    assert errors["source"].squared < errors["calm"].squared < errors["restless"].squared / 10


def test_occluded_pixels_do_not_count() -> None:
    ground, thing = moving(0)[0], 255 - moving(0)[0][20:60, 20:60]
    video = []
    for at in range(3):
        video.append(ground.copy())
        video[-1][20:60, 20 + 6 * at : 60 + 6 * at] = thing
    result = warping_errors(video, {"result": video})["result"]
    assert result.absolute < 1
    assert result.seen < 0.99


@pytest.mark.parametrize(
    ("source", "video", "message"),
    [
        (moving(0), moving(0, 2), "video ends after 2 frames, expected as many as source"),
        (moving(0, 2), moving(0), "source ends after 2 frames, expected as many as video"),
        (moving(0), [frame[:90] for frame in moving(0)], "video is 128x90, expected 128x96 of the source times"),
        ([frame[:8] for frame in moving(0)], moving(0), "source is 128x8, expected sides of at least 12 pixels"),
        (moving(0, 1), moving(0, 1), "the motion between no two frames can be estimated"),
    ],
)
def test_what_cannot_be_compared_is_reported(source: list[Frame], video: list[Frame], message: str) -> None:
    with pytest.raises(RefusedVideo, match=message):
        warping_errors(source, {"video": video})


def test_files_are_compared_with_their_reference(tmp_path: Path) -> None:
    source, other = clips.wide_pixels(tmp_path / "source"), clips.full_range(tmp_path / "other")
    errors = flicker_of_files(source, source, reference=other)
    assert list(errors) == ["source", "result", "reference"]
    assert errors["source"] == errors["result"] != errors["reference"]
    assert errors["source"].pairs == 7


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_a_folder_of_frames_is_measured_like_a_video(tmp_path: Path, dtype: type, white: int) -> None:
    video = flickering(moving(0), 4)
    for number, frame in enumerate(video):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame[..., ::-1].astype(dtype) * (white // 255))
    assert flicker_of_files(tmp_path, tmp_path)["result"] == warping_errors(video, {"result": video})["result"]
