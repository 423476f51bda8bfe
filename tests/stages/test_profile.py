from pathlib import Path

import cv2
import pytest
from rich.console import Console

from stages.cost_report import cost_figure, cost_table, draw_bars, parse_size, short
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.profile import Cost, count_parameters, grouped, layer_costs, total
from stages.unet import UNetConfig
from stages.unsharp_mask import UnsharpMaskConfig

PIXELS = 360 * 640


def test_dncnn_against_a_count_by_hand() -> None:
    """3 -> 64, eighteen times 64 -> 64, 64 -> 3, each with 3x3 taps for every pixel; batch norm becomes the biases."""
    first, *inner, last = layer_costs(DnCNNConfig(), 360, 640)
    assert (first.parameters, first.macs, first.activations) == (3 * 9 * 64 + 64, 3 * 9 * 64 * PIXELS, 64 * PIXELS)
    assert [(cost.parameters, cost.macs) for cost in inner] == [(64 * 9 * 64 + 64, 64 * 9 * 64 * PIXELS)] * 18
    assert (last.parameters, last.macs, last.activations) == (64 * 9 * 3 + 3, 64 * 9 * 3 * PIXELS, 3 * PIXELS)
    everything = total([first, *inner, last])
    assert everything.parameters == 668_227
    assert round(everything.macs / 1e9, 1) == 153.7


def test_unsharp_mask_counts_in_the_module_that_computes_it() -> None:
    (cost,) = layer_costs(UnsharpMaskConfig(), 36, 64)
    assert (cost.kind, cost.parameters) == ("UnsharpMask", 0)
    assert cost.macs > 0


@pytest.mark.parametrize(("config", "gmacs"), [(EDSRConfig(), 316.2), (UNetConfig(), 43.4)])
def test_published_macs_at_640x360(config: EDSRConfig | UNetConfig, gmacs: float) -> None:
    assert round(total(layer_costs(config, 360, 640)).macs / 1e9, 1) == gmacs


@pytest.mark.parametrize("config", [DnCNNConfig(), EDSRConfig(scale=3), UNetConfig(residual=True)])
def test_layers_add_up_to_the_stage(config: DnCNNConfig | EDSRConfig | UNetConfig) -> None:
    costs = layer_costs(config, 48, 64)
    assert total(costs).parameters == count_parameters(config.build().eval().fuse())
    assert min(cost.macs for cost in costs) >= 0
    assert total(grouped(costs, 5)) == total(costs)


def test_groups_follow_the_modules() -> None:
    groups = grouped(layer_costs(UNetConfig(levels=3), 48, 64), 10)
    assert [cost.name for cost in groups] == [
        *("encoder.0", "encoder.1", "encoder.2", "up.0", "up.1", "decoder.0", "decoder.1", "tail"),
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (896, "896"), (999.6, "1 K"), (1792, "1.79 K"), (153.7e9, "153.7 G"), (2.5e12, "2.5 T")],
)
def test_short_numbers(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize("text", ["640", "640x", "0x360", "-1x5", "640X360"])
def test_a_size_has_to_be_one(text: str) -> None:
    assert parse_size("640x360") == (360, 640)
    with pytest.raises(ValueError, match="expected WIDTHxHEIGHT"):
        parse_size(text)


TWO = [Cost("left", "Conv2d", 10, 3_000, 5), Cost("right", "Conv2d", 30, 1_000, 5)]


def test_table_shows_shares(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=120).print(cost_table("two", TWO))
    out = capsys.readouterr().out
    assert "75.0%" in out
    assert "4 K" in out


def test_bars_are_as_long_as_the_counts_and_labelled_with_shares() -> None:
    parameters, macs, _ = cost_figure("two", TWO).axes
    assert [bar.get_width() for bar in parameters.patches] == [10, 30]
    assert [text.get_text() for text in macs.texts] == ["3 K  75.0%", "1 K  25.0%"]
    assert [label.get_text() for label in parameters.get_yticklabels()] == ["left", "right"]


def test_bars_become_a_png_in_a_new_folder(tmp_path: Path) -> None:
    draw_bars(tmp_path / "new" / "bars.png", "two", TWO)
    assert cv2.imread(str(tmp_path / "new" / "bars.png")) is not None
