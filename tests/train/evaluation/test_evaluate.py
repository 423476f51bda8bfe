from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pipeline.engine.engine import Engine
from tests.train.command_line import main
from train.evaluation import protocols


def test_main_writes_the_page(sharp_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharp_folder.rename(tmp_path / "Set14")
    chain_file = tmp_path / "chain.yaml"
    chain_file.write_text("stages:\n  - {stage: unsharp_mask, amount: 0.0}\n")
    page = tmp_path / "quality.md"
    for folder in ("CBSD68",):
        (tmp_path / folder).symlink_to(tmp_path / "Set14")
    arguments = ["--data", str(tmp_path), "--only", "chain", "--weights", str(chain_file), "-o", str(page)]
    monkeypatch.setattr("sys.argv", ["train", "evaluate", *arguments])
    monkeypatch.setattr(protocols, "bicubic_upscaler", lambda scale: torch.nn.UpsamplingNearest2d(scale_factor=2))
    monkeypatch.setattr(
        Engine, "run", lambda self, image: SimpleNamespace(pixels=image.repeat(2, axis=0).repeat(2, axis=1))
    )
    assert main() == 0
    assert "| Set14, x2 down, noise sigma 10, PSNR RGB | chain |" in page.read_text()


def test_weights_of_another_task_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for protocol, weights in (("super_resolution", "deblur_mild_fast"), ("denoising", "upscale_x2_fast")):
        arguments = ["--data", str(tmp_path), "--only", protocol, "--weights", weights]
        monkeypatch.setattr("sys.argv", ["train", "evaluate", *arguments])
        assert main() == 2
        assert f"for {protocol}" in capsys.readouterr().err


def test_missing_test_sets_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    chain_file = tmp_path / "chain.yaml"
    chain_file.write_text("stages:\n  - {stage: unsharp_mask}\n")
    arguments = ["--data", str(tmp_path / "none"), "--only", "chain", "--weights", str(chain_file)]
    monkeypatch.setattr("sys.argv", ["train", "evaluate", *arguments])
    assert main() == 2
    assert "none" in capsys.readouterr().err
