"""Tables turn what is measured of an image into strengths."""

import dataclasses

import pytest

from pipeline.condition.condition import Condition
from pipeline.condition.strengths import StrengthTable, load_tables, table_of
from stages.blind_deconvolution import BlindDeconvolutionConfig
from stages.clahe import CLAHEConfig
from stages.dncnn import DnCNNConfig
from stages.stage import LearnedStageConfig
from stages.unsharp_mask import UnsharpMaskConfig
from stages.weights import shipped_weights

CLEAN = Condition(noise=0, colour_noise=0, blur=0, least_blur=0, jpeg=100, aliasing=0.2)
TABLE = StrengthTable(axes={"noise": (0, 10), "jpeg": (50, 100)}, values=(1.0, 0.0, 0.5, 1.0))


def condition(**measures: float) -> Condition:
    return dataclasses.replace(CLEAN, **measures)


@pytest.mark.parametrize(
    ("noise", "jpeg", "strength"),
    [(0, 50, 1.0), (0, 100, 0.0), (10, 50, 0.5), (10, 100, 1.0), (5, 100, 0.5), (0, 75, 0.5), (5, 75, 0.6)],
)
def test_strengths_are_interpolated_between_corners(noise: float, jpeg: int, strength: float) -> None:
    assert TABLE.strength(condition(noise=noise, jpeg=jpeg)) == pytest.approx(strength, abs=0.026)


def test_beyond_the_ends_those_of_the_ends_hold() -> None:
    assert TABLE.strength(condition(noise=60, jpeg=10)) == 0.5


def test_strengths_are_steps_and_small_ones_none() -> None:
    table = StrengthTable(axes={"noise": (0, 100)}, values=(0, 1))
    assert [table.strength(condition(noise=noise)) for noise in (3, 9, 11, 13, 98)] == [0, 0, 0.1, 0.15, 1.0]


def test_every_shipped_network_has_a_table() -> None:
    assert set(shipped_weights()) <= set(load_tables())


def test_tables_are_whole() -> None:
    for table in load_tables().values():
        assert set(table.axes) <= set(Condition.__dataclass_fields__)
        assert all(0 <= value <= 1 for value in table.values)
        assert 0 <= table.strength(CLEAN) <= 1


def test_a_stage_that_looks_for_its_blur_itself_runs_whatever_was_measured() -> None:
    table = table_of(BlindDeconvolutionConfig())
    assert table is not None
    assert [table.strength(condition(noise=noise, blur=blur)) for noise in (0, 50) for blur in (0, 9)] == [1.0] * 4


def test_other_weights_are_served_by_what_they_are_for() -> None:
    def named(weights: str) -> LearnedStageConfig:
        return DnCNNConfig(weights=weights)

    tables = load_tables()
    assert table_of(named("mine.safetensors")) == tables["denoise_blind"]
    assert table_of(named("/shipped/denoise_blind_fast.safetensors")) == tables["denoise_blind_fast"]
    assert table_of(UnsharpMaskConfig()) == tables["unsharp_mask"]
    assert table_of(CLAHEConfig()) is None
