import pytest
import torch
from torch import Tensor, nn

from pipeline.inspection.receptive_field import radius_of, receptive_field
from stages.edsr import EDSRConfig
from stages.stage import Stage, StageConfig
from stages.unet import UNetConfig


class Filter(Stage):
    """One known 3x3 filter on every colour."""

    halo = 1

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False)
        self.conv.weight.data.copy_(kernel.expand(3, 1, 3, 3))

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image)


def test_field_of_a_filter_is_the_filter() -> None:
    kernel = torch.tensor([[1.0, 2, 3], [-4, 5, 6], [7, -8, 9]])
    field = receptive_field(Filter(kernel), torch.rand(1, 3, 16, 24))
    torch.testing.assert_close(field[2:-2, 2:-2], 3 * kernel.abs())
    assert field.sum() == 3 * kernel.abs().sum()


@pytest.mark.parametrize(
    "config", [UNetConfig(width=4, levels=3), EDSRConfig(width=4, depth=1, scale=3)], ids=["unet", "edsr"]
)
def test_nothing_lies_beyond_the_halo(config: StageConfig) -> None:
    stage = config.build().eval()
    for parameter in stage.parameters():
        nn.init.normal_(parameter, std=0.2)
    side = (2 * stage.halo // stage.multiple_of + 4) * stage.multiple_of
    field = receptive_field(stage, torch.rand(1, 3, side, side))
    margin = len(field) // 2 - stage.halo
    assert margin > 0
    assert field.max() > 0
    field[margin:-margin, margin:-margin] = 0
    assert field.max() == 0


def test_an_image_smaller_than_the_field_is_enough() -> None:
    stage = UNetConfig(width=4, levels=3).build().eval()
    field = receptive_field(stage, torch.rand(1, 3, 8, 12))
    assert field.isfinite().all()
    assert field[len(field) // 2, len(field) // 2] > 0


def test_radius_holds_a_share() -> None:
    field = torch.zeros(9, 9)
    field[4, 4], field[4, 6], field[1, 4] = 6, 3, 1
    assert [radius_of(field, share) for share in (0.5, 0.6, 0.7, 0.9, 0.95, 1.0)] == [0, 0, 2, 2, 3, 3]
