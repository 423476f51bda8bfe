import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from stages.commands import stages_app
from stages.dncnn import DnCNN, DnCNNConfig
from stages.errors import WeightsError
from stages.extras import install_hint
from stages.profile import Cost, stage_costs
from stages.registry import STAGES
from stages.stage import Stage
from stages.weights import read_card, shipped_weights
from stages.weights_commands import weights_app

OPTIONS = ["depth=3", "width=4", "batch_norm=false"]


def output_of(app: Typer, *arguments: object) -> str:
    """Run a command in a terminal of 80 columns; raise what it raises."""
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def published(tmp_path: Path) -> Path:
    torch.save(DnCNNConfig(depth=3, width=4, batch_norm=False).build().state_dict(), tmp_path / "published.pth")
    return tmp_path / "published.pth"


def test_stages_list_holds_every_stage_and_the_shipped_networks_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(stage: Stage, height: int, width: int) -> list[Cost]:
        """Count a DnCNN only; the layers of large networks take seconds, and their columns are as wide."""
        return stage_costs(stage, height, width) if isinstance(stage, DnCNN) else [Cost("", "", 19_341_616, 2.5e12, 0)]

    monkeypatch.setattr("stages.tables.stage_costs", count)
    lines = output_of(stages_app, "list").splitlines()
    assert {line.split()[0] for line in lines if line.strip()} >= {*STAGES, *shipped_weights()}
    assert max(map(len, lines)) <= 80
    assert next(line for line in lines if line.startswith("dncnn")).split()[-4:] == ["x1", "0.67", "M", "153.7"]
    assert "depth 16 (20)" in next(line for line in lines if line.startswith("denoise_blind "))


@pytest.mark.parametrize("name", STAGES)
def test_stages_show_explains_every_option(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.tables.stage_costs", lambda stage, height, width: [])  # which the list counts
    output = output_of(stages_app, "show", name)
    options = STAGES[name].model_fields.keys() - {"stage"}
    assert {line.split()[0] for line in output.splitlines() if line.strip()} >= options
    assert max(map(len, output.splitlines())) <= 80


def test_stages_show_names_the_paper_types_and_values() -> None:
    output = output_of(stages_app, "show", "dncnn")
    assert "Beyond a Gaussian Denoiser" in output
    assert "https://arxiv.org/abs/1608.03981" in output
    assert re.search(r"depth +int >= 3 +20 +convolutions", output)
    assert "668,227 parameters" in output
    assert "file | null" in output_of(stages_app, "show", "richardson_lucy")
    assert re.search(r"depth +int >= 3 +16 +convolutions", output_of(stages_app, "show", "denoise_blind"))


def test_import_writes_a_file_whose_card_can_be_shown(published: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    assert str(target) in output_of(stages_app, "import", published, "--stage", "dncnn", *OPTIONS, "-o", target)
    assert read_card(target).config["depth"] == 3
    assert "imported from published.pth" in output_of(weights_app, "show", target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["depth=4", "width=4", "batch_norm=false"], "does not fit this DnCNN"),
        (["depht=3"], "depht"),
        (["depth"], "expected OPTION=VALUE"),
        (["depth=["], r"got 'depth=\[', expected OPTION=VALUE with a value in YAML's spelling"),
        (["--stage", "dncn"], r"stage: got 'dncn', expected one of bicubic, .* Did you mean 'dncnn'\?"),
    ],
)
def test_import_refuses_what_does_not_fit(published: Path, tmp_path: Path, options: list[str], message: str) -> None:
    target = tmp_path / "mine.safetensors"
    with pytest.raises(WeightsError, match=message):
        output_of(stages_app, "import", published, "--stage", "dncnn", *options, "-o", target)
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nothing"], "nor is it a stage: bicubic"),
        (["profile", "nothing"], "nor is it a stage: bicubic"),
        (["profile", "dncnn", "depht=3"], "depht"),
        (["profile", "denoise_blind", "depth=3"], "got depth=3, expected no options"),
        (["profile", "dncnn", "--size", "big"], "size: got the size 'big'"),
    ],
)
def test_unknown_names_and_options_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        output_of(stages_app, *arguments)


@pytest.mark.parametrize("tag", ["dncnn", "unet", "unsharp_mask"])
def test_profile_prints_a_table_and_plots_the_layers(tag: str, tmp_path: Path) -> None:
    plot = ["-o", tmp_path / "bars.png"] if tag == "unet" else []
    assert "MACs" in output_of(stages_app, "profile", tag, "--size", "64x48", *plot)
    assert (tmp_path / "bars.png").exists() == bool(plot)


def test_a_missing_package_leaves_the_rest_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    monkeypatch.setattr("stages.tables.STAGES", {name: STAGES[name] for name in ("encoder_unet", "bicubic")})
    output = output_of(stages_app, "list")
    assert "bicubic" in output
    assert install_hint("zoo").replace(" ", "") in "".join(output.split())


def test_the_commands_load_without_torch() -> None:
    """So that --help answers at once."""
    script = "import sys, stages.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
