"""Costs of a chain, as tables and as a drawing."""

from pathlib import Path

import cv2

from pipeline.chain.config import ChainConfig
from pipeline.chain.costs import chain_costs, describe_costs, draw_costs
from stages.edsr import EDSRConfig
from stages.profile import total
from stages.unsharp_mask import UnsharpMaskConfig

CHAIN = ChainConfig(
    stages=(UnsharpMaskConfig(), EDSRConfig(width=4, depth=1), UnsharpMaskConfig(), UnsharpMaskConfig(strength=0.0))
)


def test_stages_after_an_upscaling_one_cost_more() -> None:
    costs = chain_costs(CHAIN, 36, 64)
    before, after = total(costs["unsharp_mask"]), total(costs["unsharp_mask_2"])
    assert after.activations > 3.5 * before.activations
    assert costs["unsharp_mask_3"] == []


def test_a_table_of_the_stages_and_one_of_each_ones_layers(tmp_path: Path) -> None:
    costs = chain_costs(CHAIN, 36, 64)
    titles = [table.title for table in describe_costs("chain at 64x36", costs)]
    assert titles == ["chain at 64x36", "unsharp_mask", "edsr", "unsharp_mask_2"]
    draw_costs(tmp_path / "bars.png", "chain", costs)
    assert cv2.imread(str(tmp_path / "bars.png")).shape[0] > 18 * sum(map(len, costs.values()))
