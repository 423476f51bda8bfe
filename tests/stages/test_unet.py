import torch

from stages.profile import count_macs, count_parameters
from stages.unet import UNetConfig


def test_size_of_the_default_network() -> None:
    """Ronneberger et al. at half their width, 32 to 512 channels, with 3 channels in and out."""
    assert count_parameters(UNetConfig().build()) == 7_760_163
    assert count_macs(UNetConfig(), 360, 640) == count_macs(UNetConfig(), 368, 640)


def test_starts_as_the_identity() -> None:
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(UNetConfig(width=4, levels=3).build()(image), image)
