import torch

from stages.concat_unet import ConcatUNetConfig
from stages.profile import count_parameters


def test_size_of_the_default_network() -> None:
    """The student project's 4.32 M, here with the layers that join."""
    assert round(count_parameters(ConcatUNetConfig().build()) / 1e6, 2) == 4.32


def test_reduced_channels_are_smaller_and_attention_costs_little() -> None:
    whole, reduced, weighed = (
        count_parameters(ConcatUNetConfig(**options).build())
        for options in ({}, {"reduced_channels": True}, {"squeeze_excitation": True})
    )
    assert reduced < whole < weighed < 1.05 * whole


def test_starts_as_the_identity() -> None:
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(ConcatUNetConfig(width=2).build()(image), image)


def test_every_encoder_level_reaches_every_decoder_level() -> None:
    """The gradient of each decoder block's result, taken with all coarser paths cut."""
    stage = ConcatUNetConfig(width=2).build()
    seen: dict[int, torch.Tensor] = {}
    kept: list[torch.Tensor] = []
    for block in stage.encoder[:-1]:
        block.register_forward_hook(lambda _, __, result: kept.append(result.detach().requires_grad_()) or kept[-1])
    for index, join in enumerate(stage.join):
        join.register_forward_hook(lambda _, __, result, index=index: seen.update({index: result}))
    stage(torch.rand(1, 3, 32, 32))
    for joined in seen.values():
        gradients = torch.autograd.grad(joined.sum(), kept, retain_graph=True, allow_unused=True)
        assert all(gradient is not None for gradient in gradients)
