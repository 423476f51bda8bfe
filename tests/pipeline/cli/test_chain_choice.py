"""Without --chain, images and videos have default chains of their own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.cli import chain_choice
from pipeline.cli.chain_choice import default_chains, named_chain
from pipeline.errors import ConfigError
from run_pipeline import main


@pytest.fixture(autouse=True)
def defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images become two times as large and are sharpened, videos three times."""
    monkeypatch.chdir(tmp_path)
    Path("images.yaml").write_text("stages: [{stage: bicubic, scale: 2}, {stage: unsharp_mask}]")
    Path("videos.yaml").write_text("stages: [{stage: bicubic, scale: 3}]")
    monkeypatch.setattr(chain_choice, "DEFAULT_CHAIN", Path("images.yaml"))
    monkeypatch.setattr(chain_choice, "DEFAULT_VIDEO_CHAIN", Path("videos.yaml"))


def test_each_kind_has_its_own() -> None:
    both = default_chains({}, {}, images=True, videos=True)
    assert (both.config.names, both.videos and both.videos.names) == (("bicubic", "unsharp_mask"), ("bicubic",))
    assert default_chains({}, {}, images=False, videos=True).config == both.videos
    assert default_chains({}, {}, images=True, videos=False) == (both.config, None)
    assert default_chains({}, {}, images=False, videos=False) == (both.config, None)


def test_a_strength_holds_where_there_is_such_a_stage() -> None:
    chains = default_chains({"unsharp_mask": 0.5, "bicubic": 0.0}, {}, images=True, videos=True)
    assert [stage.strength for stage in chains.config.stages] == [0.0, 0.5]
    assert chains.videos is not None
    assert [stage.strength for stage in chains.videos.stages] == [0.0]


@pytest.mark.parametrize("name", ["unsharp_mask", "dncnn"])
def test_a_strength_that_no_chain_of_the_run_has_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"the chain has no stage '{name}'"):
        default_chains({name: 0.5}, {}, images=False, videos=True)
    with pytest.raises(ConfigError, match="the chain has no stage 'unsharp_mask'"):
        named_chain(Path("videos.yaml"), {"unsharp_mask": 0.5}, {})


def sizes(*arguments: str) -> dict[str, tuple[str, list[int]]]:
    """Restore ``in``; return the status and the result's size of each input."""
    sys.argv = ["run_pipeline.py", "in", "-o", "out", "--device", "cpu", "--preset", "ultrafast", *arguments]
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    records = [json.loads(line) for line in Path("out/restoration.jsonl").read_text().splitlines()]
    return {Path(record["input"]).name: (record["status"], record["output_size"]) for record in records}


def test_a_folder_of_both(write_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [])
    Path("in").mkdir()
    write_video("in/clip.mp4", times=(0, 512))
    cv2.imwrite("in/photo.png", np.full((8, 10, 3), 100, np.uint8))
    expected = {"clip.mp4": [96, 72], "photo.png": [20, 16]}
    assert sizes("--report", "page.html") == {name: ("done", size) for name, size in expected.items()}
    page = Path("page.html").read_text()
    assert page.index("Chain of images") < page.index("unsharp_mask</th>") < page.index("Chain of videos")
    assert {status for status, _ in sizes().values()} == {"skipped"}
    assert sizes("-c", "videos.yaml", "--overwrite")["photo.png"] == ("done", [30, 24])
