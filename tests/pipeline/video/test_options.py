"""Wrong options are refused before any work."""

import pytest

from pipeline.batch.video_jobs import VideoJobs
from pipeline.errors import ConfigError
from pipeline.video.options import VideoOptions


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"codec": "x265"}, "codec: got 'x265', expected a libav encoder"),
        ({"codec": "h264"}, "codec: got 'h264', expected one of its encoders, such as libx264"),
        ({"codec": "aac"}, "which encodes audio"),
        ({"preset": "hasty"}, "libx264 does not accept crf 16, preset hasty"),
        ({"codec": "ffv1", "crf": 10, "preset": "slow"}, "crf: ffv1 has no such option; omit it\npreset: ffv1 has"),
        ({"pix_fmt": "rgb24"}, "pix_fmt: got 'rgb24', expected one that libx264 supports: yuv420p, "),
        ({"container": "avi"}, "container: got 'avi', expected one of mp4, mkv, mov"),
        ({"codec": "prores_ks", "container": "mp4"}, "container: got 'mp4', expected one that supports prores_ks: mkv"),
        ({"start": -1.0}, "start: got -1"),
        ({"duration": 0.0}, "duration: got 0"),
        ({"duration": float("nan")}, "duration: got nan"),
        ({"fps": "fast"}, "fps: got 'fast', expected frames per second such as 25 or 24000/1001"),
        ({"batch": 0}, "batch: got 0"),
    ],
)
def test_wrong_options_are_refused_before_any_work(options, text):
    with pytest.raises(ConfigError, match=text):
        VideoJobs(VideoOptions(**options))
