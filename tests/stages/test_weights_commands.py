import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from stages.catalogue.cache import place_of
from stages.catalogue.entry import PACKAGE_FOLDER, entry_paths, read_entry, write_entry
from stages.dncnn import DnCNNConfig
from stages.errors import WeightsError
from stages.weights import Card, load_weights, resolve, save_weights, shipped_weights
from stages.weights_commands import weights_app
from tests.stages.catalogue.faulty_server import FaultyServer

OPTIONS = ["--stage", "dncnn", "depth=3", "width=4", "batch_norm=false"]
CONFIG = DnCNNConfig(depth=3, width=4, batch_norm=False)


def output_of(*arguments: object, code: int = 0) -> str:
    """Run a command in a terminal of 80 columns; raise what it raises."""
    result = CliRunner(env={"COLUMNS": "80"}).invoke(weights_app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def published(tmp_path: Path, weights_cache: Path) -> Path:
    torch.save({"params": CONFIG.build().state_dict()}, tmp_path / "published.pth")
    return tmp_path / "published.pth"


def test_list_holds_all_in_a_line_each_at_80_columns() -> None:
    lines = output_of("list").splitlines()
    names = [line.split()[0] for line in lines if line[:1].isalnum()]
    assert set(names) > {*shipped_weights(), *(path.stem for path in PACKAGE_FOLDER.iterdir())}
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if "…" in line and not line.startswith(("omnisr", "Apache"))]
    (line,) = [line for line in lines if line.startswith("nafnet_gopro_32 ")]
    assert line.split() == ["nafnet_gopro_32", "deblur", "68.7", "MIT", "fast", "32.87", "GoPro"]
    assert "2.7?" in next(line for line in lines if line.startswith("dncnn_color_blind "))


def test_list_for_a_purpose() -> None:
    output = output_of("list", "--purpose", "deblur")
    assert "nafnet_gopro_32" in output
    assert "deblur_mild_fast" in output
    assert "denoise" not in output


def test_show_prints_the_whole_card(tmp_path: Path) -> None:
    config = DnCNNConfig(depth=3, width=4)
    card = Card(
        config={"stage": "dncnn", **config.architecture()},
        trained_for="noise of sigma 25",
        steps=1234,
        metrics={"CBSD68, sigma 25, PSNR RGB": 30.5},
        training={"stage": {"stage": "dncnn"}, "data": {"crop": 64}, "loss": [{"kind": "l1"}]},
    )
    save_weights(tmp_path / "mine.safetensors", config.build(), card)
    output = " ".join(output_of("show", tmp_path / "mine.safetensors").split())
    for text in ("noise of sigma 25", "1,234", "30.500 CBSD68, sigma 25, PSNR RGB", "depth 3 (20)", "crop: 64"):
        assert text in output


def test_show_says_what_is_known_of_published_weights() -> None:
    output = output_of("show", "nafnet_gopro_64")
    assert max(map(len, output.splitlines())) <= 80
    flowing = " ".join(output.split())
    for text in (
        "67,888,835 parameters",
        "MIT (any use)",
        "megvii-research",
        "PSNR 33.71 dB, GoPro",
        "on this machine no",
    ):
        assert text in flowing
    assert "not known" in output_of("show", "edsr_x2")


@pytest.mark.parametrize(
    "arguments", [["show", "none.pth"], ["download", "dncn"], ["verify", "dncn"], ["remove", "dncn"]]
)
def test_unknown_names_are_refused(arguments: list[str]) -> None:
    with pytest.raises(WeightsError, match=r"no (weights 'none.pth'|entry 'dncn' in the catalogue)"):
        output_of(*arguments)


def test_a_file_goes_through_add_verify_and_remove(published: Path, tmp_path: Path) -> None:
    path = tmp_path / "own" / "mine.yaml"
    assert output_of("add", published, "--name", "mine", *OPTIONS, "--licence", "CC0-1.0").strip() == str(path)
    entry = read_entry(path)
    assert (entry.stage, entry.options) == ("dncnn", {"depth": 3, "width": 4, "batch_norm": False})
    assert (entry.size, entry.parameters) == (published.stat().st_size, 371)
    assert "CC0-1.0" in output_of("list")
    assert output_of("verify", "mine") == f"mine: {published} is right\n"
    stage = CONFIG.build()
    load_weights(stage, resolve("mine", tmp_path))
    assert torch.equal(stage.model[0].weight, torch.load(published)["params"]["model.0.weight"])
    published.write_bytes(published.read_bytes()[:-1])
    assert "expected" in output_of("verify", code=1)
    assert output_of("remove", "mine") == f"removed {path}\n"
    assert published.exists()


def test_a_url_goes_through_add_download_and_remove(
    published: Path,
    tmp_path: Path,
    weights_server: FaultyServer,
) -> None:
    weights_server.files["net.pth"] = published.read_bytes()
    output_of("add", f"{weights_server.url}/net.pth", *OPTIONS)
    path = entry_paths()["net"]
    place = place_of(path, read_entry(path))
    assert output_of("download", "net").strip() == str(place)
    place.unlink()
    assert output_of("verify", "net", code=1) == f"net: {place} is missing\n"
    assert str(place) in output_of("download", "net")
    assert len(weights_server.requests) == 2
    assert output_of("remove", "net") == f"removed {place}\nremoved {path}\n"


def test_an_entry_without_sha256_gets_it_by_add(published: Path, tmp_path: Path, weights_server: FaultyServer) -> None:
    with pytest.raises(WeightsError, match="weights add"):
        resolve("dncnn_color_blind", tmp_path)
    torch.save(DnCNNConfig(batch_norm=False).build().state_dict(), tmp_path / "dncnn_color_blind.pth")
    weights_server.files["dncnn_color_blind.pth"] = content = (tmp_path / "dncnn_color_blind.pth").read_bytes()
    output_of("add", f"{weights_server.url}/dncnn_color_blind.pth")
    entry = read_entry(resolve("dncnn_color_blind", tmp_path))
    assert (entry.sha256, entry.licence, entry.confirmed) == (hashlib.sha256(content).hexdigest(), "MIT", False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "denoise_blind", *OPTIONS], "name: got 'denoise_blind', which is .* already"),
        (["--name", "nafnet_gopro_32", *OPTIONS], "name: got 'nafnet_gopro_32', which is .* already"),
        (["--name", "../mine", *OPTIONS], r"name: got '\.\./mine', expected letters, digits"),
        ([], "stage: missing, expected the stage"),
        (["--stage", "spandrel"], "spandrel knows|damaged"),
        ([*OPTIONS, "depth=4"], "does not fit this DnCNN"),
        ([*OPTIONS, "--sha256", "0" * 64], f"sha256: published.pth has .*, expected {'0' * 64}"),
        ([*OPTIONS, "--purpose", "blur"], "purpose: got 'blur'"),
        (["--stage", "dncn"], "Did you mean 'dncnn'"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_written(
    published: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        output_of("add", published, *options)
    assert not (tmp_path / "own").exists()


def test_a_refused_download_leaves_nothing(published: Path, weights_cache: Path, weights_server: FaultyServer) -> None:
    weights_server.files["net.pth"] = b"no weights"
    with pytest.raises(WeightsError, match="not a file of plain tensors"):
        output_of("add", f"{weights_server.url}/net.pth", *OPTIONS)
    assert list(weights_cache.iterdir()) == []


def test_a_licence_is_accepted_by_name(published: Path, tmp_path: Path, weights_server: FaultyServer) -> None:
    weights_server.files["net.pth"] = published.read_bytes()
    output_of("add", f"{weights_server.url}/net.pth", *OPTIONS)
    path = entry_paths()["net"]
    entry = read_entry(path)
    write_entry(path, entry.model_copy(update={"uses": "restricted"}))
    place_of(path, entry).unlink()
    with pytest.raises(WeightsError, match="--accept-licence net"):
        output_of("download", "net")
    assert output_of("download", "net", "--accept-licence", "net")


def test_the_commands_load_without_torch() -> None:
    """So that --help answers at once."""
    script = "import sys, stages.weights_commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
