"""The race that decides which engine runs a network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from pipeline.backends.race import assign, race
from pipeline.backends.wrapper import NamedStage
from pipeline.errors import ConversionError
from stages.dncnn import DnCNNConfig
from stages.stage import Stage


class Slowed(Stage):
    """Takes a time per call and counts the calls."""

    calls = 0

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, image: Tensor) -> Tensor:
        Slowed.calls += 1
        time.sleep(self.seconds)
        return image


@pytest.fixture
def named() -> NamedStage:
    config = DnCNNConfig(depth=3, width=4)
    return NamedStage("dncnn", config.build(), str(config.architecture()))


def takes(seconds: float) -> Callable[[NamedStage], Stage]:
    return lambda named: Slowed(seconds)


def cannot(named: NamedStage) -> Stage:
    raise ConversionError("it knows no convolutions")


def test_the_fastest_engine_comes_first_and_one_that_cannot_is_left_out(named: NamedStage, tmp_path: Path) -> None:
    times = race(named, {"torch": takes(0.02), "ncnn": cannot, "openvino": takes(0.002)}, tmp_path)
    assert list(times) == ["openvino", "torch"]
    assert times["openvino"] >= 0.002 * 1000 / (0.64 * 0.36)
    assert times["torch"] > 3 * times["openvino"]


@pytest.mark.parametrize(
    ("races", "engines"),
    [
        ([{"torch": 10, "ncnn": 9.5}, {"torch": 20, "ncnn": 30}], ["torch", "torch"]),
        ([{"torch": 10, "ncnn": 8}, {"torch": 20, "ncnn": 30}], ["ncnn", "torch"]),
        ([{"torch": 10}, {"torch": 20, "ncnn": 9.5}], ["torch", "ncnn"]),
        ([{"torch": 10}, {"torch": 50, "ncnn": 46}], ["torch", "ncnn"]),
        ([], []),
    ],
    ids=["one for all", "clearly faster", "one that cannot all", "one that cannot all, closer", "no networks"],
)
def test_a_chain_runs_on_one_engine_unless_another_is_clearly_faster(
    races: list[dict[str, float]], engines: list[str]
) -> None:
    assert assign(races) == engines


def test_frames_are_run_by_the_faster_engines_of_quick_networks(
    named: NamedStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = {"torch": takes(0.001), "ncnn": takes(0.02)}
    Slowed.calls = 0
    race(named, engines, tmp_path)
    assert Slowed.calls == 2 * 2 + 2
    monkeypatch.setattr("pipeline.backends.race._QUICK", 0)
    Slowed.calls = 0
    race(named, engines, tmp_path, again=True)
    assert Slowed.calls == 2 * 2


def test_a_race_is_run_once_and_its_first_result_holds(named: NamedStage, tmp_path: Path) -> None:
    first = race(named, {"torch": takes(0.01), "ncnn": takes(0)}, tmp_path)
    Slowed.calls = 0
    assert race(named, {"torch": takes(0), "ncnn": takes(0.01)}, tmp_path) == first
    assert Slowed.calls == 0
    assert list(race(named, {"torch": takes(0), "ncnn": takes(0.01)}, tmp_path, again=True)) == ["torch", "ncnn"]


def test_other_weights_race_for_themselves(named: NamedStage, tmp_path: Path) -> None:
    race(named, {"torch": takes(0), "ncnn": takes(0)}, tmp_path)
    other = NamedStage(named.name, DnCNNConfig(depth=3, width=8).build(), "wider")
    race(other, {"torch": takes(0), "ncnn": takes(0)}, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_result_is_replaced(named: NamedStage, tmp_path: Path) -> None:
    race(named, {"torch": takes(0)}, tmp_path)
    (record,) = tmp_path.iterdir()
    record.write_text("{")
    assert list(race(named, {"torch": takes(0)}, tmp_path)) == ["torch"]
    assert record.read_text() != "{"


def test_without_a_cache_every_process_races(named: NamedStage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert list(race(named, {"torch": takes(0)}, tmp_path / "file" / "races")) == ["torch"]
