"""Sound is never lost: another container stores it unchanged, or it is decoded to PCM."""

from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from pipeline.video.damage import DAMAGED
from pipeline.video.sound import decoded_samples, is_decodable
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips


def audio_of(path: Path) -> tuple[str, int]:
    """Return the codec and the number of samples of the first audio stream."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return stream.codec_context.codec.canonical_name, sum(frame.samples for frame in container.decode(stream))


@pytest.mark.parametrize(
    ("suffix", "codec", "made", "kept"),
    [
        ("avi", "pcm_u8", "mkv", "pcm_u8"),
        ("avi", "adpcm_ima_wav", "mkv", "pcm_s16le"),
        ("wmv", "wmav2", "mkv", "pcm_f32le"),
        ("3gp", "libopencore_amrnb", "mov", "amr_nb"),
        ("flv", "nellymoser", "mov", "nellymoser"),
        ("m2ts", "pcm_bluray", "mkv", "pcm_s16le"),
        ("mkv", "wavpack", "mkv", "wavpack"),
        ("mp4", "aac", "mp4", "aac"),
    ],
)
def test_sound_is_kept_by_default(suffix: str, codec: str, made: str, kept: str, tmp_path: Path) -> None:
    source = clips.with_sound(tmp_path / f"clip.{suffix}", codec)
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast")
    assert (record.status, record.output, record.differs, record.losses) == ("done", f"clip.{made}", (), ())
    assert audio_of(tmp_path / f"out/clip.{made}") == (kept, audio_of(source)[1])
    said = [note for note in record.notes if "because" in note]
    assert len(said) == (suffix != made) + (kept != codec and made == "mkv")


def test_a_camera_s_mxf_loses_nothing_in_mp4(tmp_path: Path) -> None:
    source = clips.with_sound(tmp_path / "clip.mxf", "pcm_s24le")
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast")
    assert (record.status, record.output, record.differs, record.losses) == ("done", "clip.mp4", (), ())
    assert audio_of(tmp_path / "out/clip.mp4") == ("pcm_s24le", audio_of(source)[1])


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "adpcm_ima_wav"), ("a.avi", "pcm_u8"), ("a.wmv", "wmav2")])
def test_sound_that_a_chosen_container_does_not_store_is_decoded(name: str, codec: str, tmp_path: Path) -> None:
    source = clips.with_sound(tmp_path / name, codec)
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", container="mp4")
    assert (record.status, record.differs) == ("done", ())
    kept, samples = audio_of(tmp_path / "out/a.mp4")
    assert (kept[:4], samples) == ("pcm_", audio_of(source)[1])
    assert any("is decoded to PCM, because .mp4 does not store it" in note for note in record.notes)


def test_a_preview_with_decoded_sound_has_that_part_of_it(tmp_path: Path) -> None:
    source = clips.with_sound(tmp_path / "clip.avi", "adpcm_ima_wav")
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", start=0.12, duration=0.12)
    assert (record.status, record.differs) == ("done", ())


@pytest.mark.parametrize("error", DAMAGED)
def test_a_packet_that_cannot_be_decoded_is_left_out(error: type[av.FFmpegError]) -> None:
    class Damaged:
        def decode(self) -> None:
            raise error(1, "broken")

    assert list(decoded_samples(Damaged(), None)) == []


@pytest.mark.parametrize(("channels", "decodable"), [(0, False), (2, True)])
def test_sound_without_channels_is_not_decodable(
    channels: int, decodable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.video.sound.AudioStream", SimpleNamespace)
    layout, samples = SimpleNamespace(nb_channels=channels), SimpleNamespace(name="s16p")
    stream = SimpleNamespace(codec_context=SimpleNamespace(layout=layout, format=samples))
    assert is_decodable(stream) == decodable
