import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stages.dncnn import DnCNNConfig
from stages.errors import WeightsError
from stages.registry import config_from, load_stage
from stages.stage import Stage
from stages.weights import Card, load_weights, read_card, read_published, resolve, save_weights, shipped_weights

CONFIG = DnCNNConfig(depth=3, width=4)
CARD = Card(config={"stage": "dncnn", **CONFIG.architecture()}, trained_for="noise", steps=7, metrics={"PSNR": 30.5})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(path, CONFIG.build(), CARD)
    return path


def test_card_comes_back(file: Path) -> None:
    assert read_card(file) == CARD


def test_a_failed_write_leaves_the_old_file_alone(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_weights(file, CONFIG.build(), CARD)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_mismatch_names_both_sides(file: Path) -> None:
    with pytest.raises(WeightsError, match=r"model.0.weight: file \(4, 3, 3, 3\), network \(8, 3, 3, 3\)"):
        load_weights(DnCNNConfig(depth=3, width=8).build(), file)
    with pytest.raises(WeightsError, match=r"model.6.weight: file nothing, network"):
        load_weights(DnCNNConfig(depth=4, width=4).build(), file)


def test_resolve_knows_shipped_names_and_relative_paths(file: Path) -> None:
    assert resolve("small.safetensors", file.parent) == file
    for name, path in shipped_weights().items():
        assert resolve(name, file.parent) == path


def test_resolve_lists_what_there_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.weights.SHIPPED_FOLDER", file.parent)
    with pytest.raises(WeightsError, match=r"not a shipped name \(small\).* Did you mean 'small'"):
        resolve("smal", file.parent / "elsewhere")


def test_files_without_card_or_of_another_format_are_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match="has no card"):
        read_card(tmp_path / "bare.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_card(tmp_path / "text.safetensors")


def test_a_card_of_an_unknown_stage_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"not a stage of this version: dncnn\.unknown: got 1: "):
        config_from(Card(config={"stage": "dncnn", "unknown": 1}))


class Hostile:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("hostile-code-ran"),))


def test_published_files_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hostile.pth").write_bytes(pickle.dumps({"params": Hostile()}))
    with pytest.raises(WeightsError, match="not a file of plain tensors") as caught:
        read_published(tmp_path / "hostile.pth")
    assert "weights_only" not in str(caught.value)  # torch's text advises to set it to False
    assert not (tmp_path / "hostile-code-ran").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 10**7, "width": 10**6}, "got 10000000, expected at most 4096"),
        ({"depth": 3, "width": 4096}, r"does not fit .*model.0.weight: file \(1,\), network \(4096, 3, 3, 3\)"),
    ],
)
def test_a_card_that_claims_terabytes_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, message: str
) -> None:
    card = Card(config={"stage": "dncnn", **options})
    tensors = {"model.0.weight": torch.ones(1)}
    save_file(tensors, tmp_path / "huge.safetensors", {"restorechain.card": card.model_dump_json()})
    devices, build = set(), DnCNNConfig.build_network

    def noted(config: DnCNNConfig) -> Stage:
        devices.add(torch.get_default_device().type)
        return build(config)

    monkeypatch.setattr(DnCNNConfig, "build_network", noted)
    with pytest.raises(WeightsError, match=f"(?s){message}"):
        load_stage(tmp_path / "huge.safetensors")
    assert devices <= {"meta"}


def test_headers_that_claim_terabytes_are_refused(tmp_path: Path) -> None:
    tensor = b'{"a": {"dtype": "F32", "shape": [1000000, 1000000], "data_offsets": [0, 4000000000000]}}'
    for length in (len(tensor), 2**62):
        (tmp_path / "huge.safetensors").write_bytes(struct.pack("<Q", length) + tensor + bytes(16))
        with pytest.raises(WeightsError, match="is not a safetensors file"):
            read_card(tmp_path / "huge.safetensors")
        with pytest.raises(WeightsError, match="is not a file of plain tensors"):
            read_published(tmp_path / "huge.safetensors")


def test_pickles_that_unpack_to_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    torch.save({"params": {"weight": torch.ones(1).expand(10**6, 10**6)}}, tmp_path / "repeated.pth")
    with pytest.raises(WeightsError, match=r"claims a tensor of \(1000000, 1000000\)"):
        read_published(tmp_path / "repeated.pth")
    torch.save({"weight": torch.zeros(10**6)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name), zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match=r"bomb.pth of \d+ bytes claims to unpack to 4\d{6}"):
        read_published(tmp_path / "bomb.pth")


@pytest.mark.parametrize("wrapper", [None, "params", "params_ema", "state_dict"])
def test_published_wrappers_are_opened(tmp_path: Path, wrapper: str | None) -> None:
    tensors = {"weight": torch.ones(2)}
    torch.save({wrapper: tensors} if wrapper else tensors, tmp_path / "published.pth")
    assert torch.equal(read_published(tmp_path / "published.pth")["weight"], torch.ones(2))


@pytest.mark.parametrize("name", shipped_weights())
def test_shipped_weights_load_and_hold_their_scores(name: str) -> None:
    path = shipped_weights()[name]
    stage = load_stage(path)
    assert all(parameter.isfinite().all() for parameter in stage.parameters())
    assert read_card(path).metrics


def test_names_from_training_on_several_devices_are_read(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {"module.conv.weight": torch.ones(2)}}, tmp_path / "published.pth")
    assert list(read_published(tmp_path / "published.pth")) == ["conv.weight"]
