import pytest
import torch
from torch import Tensor, nn

from pipeline.inspection.attention import bytes_kept_per_pixel, heat_maps, squared_change
from pipeline.inspection.levels import find_levels
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.stage import Stage, StageConfig
from stages.unet import UNetConfig


class Residual(Stage):
    """Two convolutions without bias, added to the image; ``work_in_place`` is how torch computes, not what."""

    def __init__(self, work_in_place: bool) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=work_in_place)
        self.tail = nn.Conv2d(8, 3, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.tail(self.relu(self.head(image)))


def test_heat_at_the_last_convolution_is_each_places_share_of_the_change() -> None:
    """With features F and r = W F, the target mean(r^2) has F * dT/dF = 2 r^2 / N, summed over the channels."""
    stage, image = Residual(work_in_place=False), torch.rand(1, 3, 12, 20)
    heat = heat_maps(stage, image, ["relu"])["relu"]
    change = squared_change(stage(image), image)
    torch.testing.assert_close(heat, 2 * change.sum(dim=(0, 1)) / change.numel())


def test_working_in_place_changes_no_heat() -> None:
    plain, in_place = Residual(work_in_place=False), Residual(work_in_place=True)
    in_place.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 12, 20)
    torch.testing.assert_close(heat_maps(in_place, image, ["head", "tail"]), heat_maps(plain, image, ["head", "tail"]))


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(width=8, levels=3),
        UNetConfig(width=8, levels=2, unshuffle=2, residual=True),
        DnCNNConfig(depth=4, width=8, batch_norm=False),
        DnCNNConfig(depth=4, width=8, channels=1, batch_norm=False),
        EDSRConfig(depth=2, width=8),
    ],
    ids=["unet", "unet-half", "dncnn", "dncnn-gray", "edsr"],
)
def test_heat_lies_where_there_is_something_to_change(config: StageConfig) -> None:
    """Without biases black stays black, so the only lit spot is all that any level can depend on."""
    stage = config.build().eval()
    for name, parameter in stage.named_parameters():
        nn.init.zeros_(parameter) if "bias" in name else nn.init.normal_(parameter, std=0.2)
    if hasattr(stage, "mean"):
        stage.mean.zero_()
    image = torch.zeros(1, 3, 64, 96)
    image[..., 16:20, 60:64] = 0.8
    for level, heat in heat_maps(stage, image, find_levels(stage)).items():
        assert heat.min() >= 0
        assert heat.max() > 0, level
        rows, columns = ((heat > 0).any(dim=axis).nonzero() + 0.5 for axis in (1, 0))
        near = 2 * stage.halo + 4
        assert (rows * 64 / heat.shape[0] - 18).abs().max() <= near, level
        assert (columns * 96 / heat.shape[1] - 62).abs().max() <= near, level


def test_what_gradients_take_is_what_autograd_keeps() -> None:
    """Of a chain of n 8-channel layers in fp32 at least each layer's output is kept."""
    shallow, deep = (DnCNNConfig(depth=depth, width=8, batch_norm=False).build() for depth in (4, 14))
    assert bytes_kept_per_pixel(deep) - bytes_kept_per_pixel(shallow) == pytest.approx(10 * 8 * 4, rel=0.01)
