from pathlib import Path

import pytest
import torch

from stages.__main__ import main
from stages.dncnn import DnCNNConfig
from stages.registry import STAGES
from stages.weights import read_card


@pytest.fixture
def published(tmp_path: Path) -> Path:
    torch.save(DnCNNConfig(depth=3, width=4, batch_norm=False).build().state_dict(), tmp_path / "published.pth")
    return tmp_path / "published.pth"


def test_table_lists_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    output = capsys.readouterr().out
    assert all(tag in output for tag in STAGES)


def test_import_writes_a_file_whose_card_can_be_read(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mine.safetensors"
    options = ["depth=3", "width=4", "batch_norm=false"]
    assert main(["import", str(published), "--stage", "dncnn", *options, "-o", str(target)]) == 0
    assert read_card(target).config["depth"] == 3
    assert main([str(target)]) == 0
    assert "imported from published.pth" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["depth=4", "width=4", "batch_norm=false"], "does not fit this DnCNN"),
        (["depht=3"], "depht"),
        (["depth"], "expected OPTION=VALUE"),
        (["depth=["], "got 'depth=[', expected OPTION=VALUE with a value in YAML's spelling"),
    ],
)
def test_import_refuses_what_does_not_fit(
    published: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mine.safetensors"
    assert main(["import", str(published), "--stage", "dncnn", *options, "-o", str(target)]) == 2
    assert message in capsys.readouterr().err
    assert not target.exists()


def test_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.safetensors")]) == 2
    assert "none.safetensors" in capsys.readouterr().err
