"""Pixel formats and HDR metadata of encoders."""

import av
import pytest

from pipeline.errors import BrokenVideo
from pipeline.video.conformance import compare_videos
from pipeline.video.encoder import _further_options
from pipeline.video.options import VideoOptions
from pipeline.video.probe import probe
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips
from tests.pipeline.video.restoring import TWICE, restore


@pytest.mark.parametrize(("size", "pix_fmt"), [((33, 24), "yuv444p"), ((32, 23), "yuv422p"), ((32, 24), "yuv420p")])
def test_odd_sides_keep_all_their_pixels(write_video, tmp_path, size, pix_fmt):
    source, target = write_video("in.mkv", codec="ffv1", size=size), tmp_path / "out.mp4"
    result = restore(source, target, preset="ultrafast")
    with av.open(str(target)) as made:
        context = made.streams.video[0].codec_context
        assert ((context.width, context.height), context.pix_fmt) == (size, pix_fmt)
    assert (f"yuv420p is written as {pix_fmt}" in result.notes + result.losses) == (pix_fmt != "yuv420p")
    assert not [comparison for comparison in compare_videos(source, target) if comparison.is_fault]


def test_a_size_that_an_encoder_does_not_support_is_reported(write_video, tmp_path):
    source = write_video("in.mkv", codec="ffv1", size=(33, 24))
    with pytest.raises(BrokenVideo, match=r"by libx264 with 33 x 24 pixels in yuv420p: .*; another codec"):
        restore(source, tmp_path / "out.mp4", pix_fmt="yuv420p")


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "written"),
    [("libsvtav1", "yuv444p", "yuv420p"), ("libx265", "yuv420p12le", "yuv420p12le"), ("libx264", "gray", "yuv420p")],
)
def test_the_pixel_format_is_the_sources_or_the_nearest_supported(write_video, tmp_path, codec, pix_fmt, written):
    source, target = (
        write_video("in.mkv", codec="ffv1", pix_fmt=pix_fmt, size=(64, 64), times=[0, 512]),
        tmp_path / "out.mkv",
    )
    result = restore(source, target, codec=codec, preset="12" if codec == "libsvtav1" else "ultrafast")
    with av.open(str(target)) as container:
        assert next(container.decode(video=0)).format.name == written
    assert any(pix_fmt in note for note in result.notes + result.losses) == (pix_fmt != written)


def test_hdr_metadata_that_a_codec_does_not_store_are_reported(tmp_path):
    (record,) = restore_batch(tmp_path, clips.hdr10(tmp_path / "clip").name, codec="ffv1")
    assert (record.status, record.differs) == ("done", ())
    assert any(note.startswith("content light: ") and note.endswith("ffv1 does not store it") for note in record.losses)


@pytest.mark.parametrize(("height", "threads"), [(24, 1), (64, 4), (480, 8)])
def test_x264_encodes_as_many_frames_at_once_on_every_machine(write_video, tmp_path, height, threads):
    source = write_video("in.mkv", codec="ffv1", size=(32, height), times=[0, 512])
    restore(source, tmp_path / "out.mp4", TWICE, preset="ultrafast")
    settings = (tmp_path / "out.mp4").read_bytes().partition(b"x264 - core")[2]
    assert f" threads={threads} ".encode() in settings


@pytest.mark.parametrize(
    ("capability", "codec", "given"),
    [("AVX512", "libx264", {"x264-params": "asm=AVX2"}), ("AVX2", "libx264", {}), ("AVX512", "ffv1", {})],
)
def test_x264_is_kept_from_avx_512(monkeypatch, write_video, capability, codec, given):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    footage = probe(write_video("in.mkv", codec="ffv1"))
    assert _further_options(footage, VideoOptions(codec=codec)) == given
