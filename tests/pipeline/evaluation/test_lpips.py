"""LPIPS is one more metric on request; it needs references and the weights of its network."""

import csv
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pipeline.errors import ConfigError
from pipeline.evaluation.lpips import Lpips
from run_pipeline import app

CHAIN = "stages:\n  - {stage: unsharp_mask, sigma: 2.0, amount: 0.8}\n"


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the download by a backbone with random weights, the same each time."""
    from torchvision import models

    build = models.alexnet

    def alexnet(weights: object) -> torch.nn.Module:
        assert weights is not None
        torch.manual_seed(0)
        return build(weights=None)

    monkeypatch.setattr(models, "alexnet", alexnet)


@pytest.mark.usefixtures("untrained")
def test_more_noise_is_further_away() -> None:
    clean = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    near, far = ((clean + sigma * noise).clamp(0, 1) for sigma in (0.02, 0.2))
    lpips = Lpips()
    assert lpips(clean, clean) == pytest.approx(0, abs=1e-7)
    assert 0 < lpips(near, clean) < lpips(far, clean)
    with pytest.raises(ValueError, match="LPIPS needs 32x32 pixels or more, got 64x31"):
        lpips(clean[..., :31, :], clean[..., :31, :])


def run(folder: Path, *more: str) -> int:
    """Restore as a user does; return the exit code."""
    (folder / "chain.yaml").write_text(CHAIN)
    given = [str(folder / "in"), "-o", str(folder / "out"), "-c", str(folder / "chain.yaml")]
    return CliRunner().invoke(app, [*given, "--reference", str(folder / "in"), *more]).exit_code


@pytest.mark.usefixtures("untrained")
def test_it_is_added_on_request_and_results_without_it_are_compared_again(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/a.png"), np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8))

    def rows() -> list[dict[str, str]]:
        with (tmp_path / "out/metrics.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    assert run(tmp_path) == 0
    assert "lpips" not in rows()[0]
    assert run(tmp_path, "--lpips", "--report", str(tmp_path / "page.html")) == 0
    assert {row["variant"]: float(row["lpips"]) > 0 for row in rows()} == {
        "bicubic": False,  # the input alone, which is the reference here
        "after unsharp_mask": True,
        "without unsharp_mask": False,
    }
    assert "LPIPS" in (tmp_path / "page.html").read_text()


def test_a_failed_download_is_an_error_that_names_the_file_and_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(weights: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models.alexnet", offline)
    with pytest.raises(
        ConfigError, match=r"cannot be downloaded \(<urlopen error no network>\); put https://.*alexnet"
    ):
        Lpips()


def test_without_references_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"not read")
    result = CliRunner().invoke(app, [str(tmp_path), "-o", str(tmp_path / "out"), "--lpips"])
    assert result.exit_code == 2
    assert "--lpips: compares with references" in result.output
