import torch

from stages.profile import count_parameters
from stages.residual_unet import ResidualUNetConfig


def test_size_of_the_default_network() -> None:
    """Our own widths, 32 to 256: by hand, 18w^2 + 2w a block, 4 x 2w^2 + 2w down, the same up, 2w^2 + w to merge."""
    widths = [32, 64, 128, 256]
    blocks = sum(18 * width**2 + 2 * width for width in widths + widths[:-1])
    between = sum(8 * width**2 + 2 * width + 8 * width**2 + width + 2 * width**2 + width for width in widths[:-1])
    ends = 2 * 27 * 32 + 32 + 3
    assert count_parameters(ResidualUNetConfig().build()) == blocks + between + ends


def test_starts_as_the_identity() -> None:
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(ResidualUNetConfig(width=4, levels=3).build().eval()(image), image)


def test_dropout_is_for_training_only() -> None:
    stage = ResidualUNetConfig(width=8, levels=2, dropout=0.5).build()
    torch.nn.init.normal_(stage.tail.weight)
    image = torch.rand(1, 3, 16, 16)
    assert not torch.equal(stage(image), stage(image))
    stage.eval()
    assert torch.equal(stage(image), stage(image))
