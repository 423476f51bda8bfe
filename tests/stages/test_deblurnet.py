import torch

from stages.deblurnet import DeblurNetConfig
from stages.profile import count_parameters


def test_size_of_the_default_network() -> None:
    """The student project's own count, "including biases"."""
    assert count_parameters(DeblurNetConfig().build()) == 1_331_459


def test_starts_as_the_identity_but_for_black_and_white() -> None:
    image = torch.linspace(0, 1, 3 * 8 * 8).view(1, 3, 8, 8)
    assert (DeblurNetConfig(width=4).build()(image) - image).abs().max() <= 0.5 / 255


def test_results_lie_between_black_and_white() -> None:
    stage = DeblurNetConfig(width=4).build()
    torch.nn.init.normal_(stage.model[-1].weight)
    image = 3 * torch.rand(1, 3, 8, 8) - 1
    assert 0 < stage(image).min() < stage(image).max() < 1
