"""Videos on the command line: output, messages and exit codes."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import pipeline.video.restore
from run_pipeline import main
from stages.dncnn import DnCNNConfig
from stages.weights import Card, save_weights
from tests.pipeline.video import clips

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in a folder with a chain."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("chain.yaml").write_text("stages:\n  - {stage: bicubic, scale: 2}\n")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["run_pipeline.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


RESTORE = ("-o", "out", "-c", "chain.yaml", "--device", "cpu", "--preset", "ultrafast")


def test_a_video_is_restored_and_verified(run: Run) -> None:
    clips.two_languages(Path("clip"))
    code, out, err = run("clip.mkv", *RESTORE, "--container", "mp4", "--flicker")
    lost = "stream 3 (subtitle subrip): missing, expected present; not supported by this container"
    assert (code, err.startswith(f"warning: clip.mkv: {lost}")) == (0, True)
    assert "Warping error" in out
    record = json.loads(Path("out/restoration.jsonl").read_text())
    assert record["differs"] == []
    assert record["flicker"].keys() == {"source", "result"}
    code, out, err = run("verify", "clip.mkv", "out/clip.mp4")
    assert (code, err) == (0, "")
    assert "not supported" in out
    assert "DIFFERS" not in out


def test_frames_are_verified(run: Run) -> None:
    clips.wide_pixels(Path("clip"))
    assert run("clip.mp4", *RESTORE, "--frames-out", "frames")[0] == 0
    assert run("frames", "-o", "again", *RESTORE[2:], "--fps", "25")[0] == 0
    code, out, err = run("verify", "clip.mp4", "frames/clip")
    assert (code, err, "DIFFERS" in out) == (0, "", False)
    assert run("verify", "frames/clip", "again/clip.mp4", "--fps", "25", "--flicker")[0] == 0
    code, _, err = run("verify", "frames/clip", "again/clip.mp4")
    assert (code, err) == (
        2,
        "--fps: got none, expected the frame rate of frames/clip, a folder of frames\n",
    )
    Path("frames/clip/000003.png").unlink()
    code, out, _ = run("verify", "clip.mp4", "frames/clip")
    assert (code, "DIFFERS" in out) == (1, True)


def test_another_video_is_reported(run: Run) -> None:
    clips.wide_pixels(Path("clip"))
    clips.variable_rate(Path("other"))
    code, out, _ = run("verify", "clip.mp4", "other.mp4")
    assert code == 1
    assert "DIFFERS" in out
    assert run("verify", "clip.mp4", "clip.mp4", "--duration", "0.2")[0] == 1


def test_what_differs_makes_the_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.rotated(Path("clip"))
    joined = pipeline.video.restore.join
    monkeypatch.setattr(
        "pipeline.video.restore.join",
        lambda path, source, segments, footage, window: joined(
            path, source, segments, dataclasses.replace(footage, display_matrix=None), window
        ),
    )
    code, _, err = run("clip.mp4", *RESTORE)
    assert code == 1
    assert "differs from its source: clip.mp4: rotation: 0 degrees, expected -90 degrees" in err


def test_verifying_wants_two_files_that_are_videos(run: Run) -> None:
    clips.audio_only(Path("audio"))
    assert run("verify", "audio.m4a")[0::2] == (2, "Missing argument 'result'; see `run_pipeline.py verify --help`\n")
    code, _, err = run("verify", "audio.m4a", "audio.m4a")
    assert (code, err) == (1, "the source audio.m4a holds no video stream that can be decoded, only audio\n")


def test_options_for_images_have_no_effect_on_videos(run: Run) -> None:
    clips.one_frame(Path("clip"))
    code, out, err = run("clip.mp4", *RESTORE, "--ext", "png", "--save-stages")
    assert (code, out) == (2, "")
    assert (
        "--ext: applies to images only; --container selects the file type of videos. All inputs are videos, so omit it"
        in err
    )
    assert "--save-stages: applies to images only; of videos only the result is written. All" in err
    assert not Path("out").exists()
    cv2.imwrite("photo.png", np.zeros((8, 8, 3), np.uint8))
    code, out, err = run("clip.mp4", "photo.png", *RESTORE, "--save-stages")
    assert (code, err) == (0, "")
    assert out.startswith("note: --save-stages: applies to images only")
    assert Path("out/photo.png.stages").is_dir()
    assert run("clip.mp4", "photo.png", *RESTORE, "--save-stages", "--quiet") == (0, "", "")


def test_the_page_does_not_take_videos_for_broken_images(run: Run) -> None:
    clips.one_frame(Path("clip"))
    assert run("clip.mp4", *RESTORE, "--report", "page.html")[0::2] == (0, "")
    page = Path("page.html").read_text()
    assert "only time and work are shown" in page
    assert "not an image" not in page


def test_attention_is_for_images(run: Run) -> None:
    clips.one_frame(Path("clip"))
    save_weights(Path("tiny.safetensors"), (stage := DnCNNConfig(depth=3, width=4)).build(), Card(config=vars(stage)))
    Path("chain.yaml").write_text("stages:\n  - {stage: dncnn, weights: tiny.safetensors}\n")
    look = ("-o", "out", "-c", "chain.yaml", "--device", "cpu")
    refused = "refused: clip.mp4: is no image; attention draws images only\n"
    assert run("attention", "dncnn", "clip.mp4", *look) == (1, "", refused)
    code, _, err = run("attention", "dncnn", "clip.mp4", *look, "--reference", "clean")
    assert (code, err[:27]) == (2, "No such option: --reference")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how threads wait differs between systems")
@pytest.mark.skipif(os.cpu_count() == 1, reason="one core has no second thread to wait")
def test_waiting_threads_leave_the_cores_to_the_encoder() -> None:
    script = """
import contextlib, sys, time
from run_pipeline import main
sys.argv = ["run_pipeline.py", "--help"]
with contextlib.suppress(SystemExit):
    main()
import torch
image = torch.zeros(2**20)
image.add_(1)
start = time.process_time()
for _ in range(20):
    image.add_(1)
    time.sleep(0.01)
print((time.process_time() - start) / 20)
"""
    environment = {key: text for key, text in os.environ.items() if key != "OMP_WAIT_POLICY"} | {"OMP_NUM_THREADS": "2"}
    timed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert float(timed.stdout.splitlines()[-1]) < 0.003, "seconds of all cores: 0.0003 of work, or 0.01 of spinning"
