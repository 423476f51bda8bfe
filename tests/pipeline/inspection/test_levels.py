from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from pipeline.inspection.levels import as_map, find_levels, find_maps
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.stage import Stage
from stages.unet import UNetConfig
from stages.unsharp_mask import UnsharpMaskConfig


@pytest.mark.parametrize(
    ("stage", "levels"),
    [
        (
            UNetConfig(width=4, levels=3).build(),
            ["encoder.0", "encoder.1", "encoder.2", "up.0", "decoder.0", "up.1", "decoder.1", "tail"],
        ),
        (DnCNNConfig(depth=4, width=4, batch_norm=False).build(), ["model.0", "model.2", "model.4", "model.6"]),
        (EDSRConfig(depth=2, width=4).build(), ["head", "body.0", "body.1", "body.2", "tail.0", "tail.1"]),
        (UnsharpMaskConfig().build(), []),
    ],
    ids=["unet", "dncnn", "edsr", "unsharp_mask"],
)
def test_levels_are_the_blocks_as_they_are_computed(stage: Stage, levels: Sequence[str]) -> None:
    assert find_levels(stage.eval()) == levels


class Foreign(Stage):
    """One network inside, whose encoder returns a list, and whose gate returns no map."""

    multiple_of = 16

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.ModuleDict(
            {
                "encoder": Pyramid(),
                "gate": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 3, 1)),
                "blocks": nn.ModuleList([nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())]),
            }
        )

    def forward(self, image: Tensor) -> Tensor:
        fine, _ = self.network["encoder"](image)
        return self.network["blocks"][0](fine * self.network["gate"](image))


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 3, 1)
        self.coarse = nn.Conv2d(3, 3, 4, stride=4)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.fine(image), self.coarse(image)]


def test_modules_without_maps_are_opened() -> None:
    levels = ["network.encoder.fine", "network.encoder.coarse", "network.blocks.0"]
    assert find_levels(Foreign()) == levels
    assert set(levels) < set(find_maps(Foreign()))


def test_maps_are_distinguished_from_other_tensors() -> None:
    tokens = torch.arange(2 * 4 * 3.0).view(1, 8, 3)
    assert as_map(torch.rand(3, 5, 4, 8), 16, 32).shape == (15, 4, 8)
    torch.testing.assert_close(as_map(tokens, 16, 32), tokens.view(2, 4, 3).permute(2, 0, 1))
    for no_map in (torch.rand(1, 5, 1, 1), torch.rand(1, 7, 3), torch.rand(2, 8, 3), [tokens], None):
        assert as_map(no_map, 16, 32) is None
