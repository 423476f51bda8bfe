"""Make a larger network of a smaller one that gives the same results: function-preserving growth.

Chen, Goodfellow, Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016,
https://arxiv.org/abs/1511.05641. Old channels keep their weights and take nothing from the new ones at first; new
channels begin at random, unlike Net2Net's copies, which Muon would keep moving alike. A new plane of the input is a
new channel, too.

Two U-Nets can be joined into one of two scales, which then does what both were trained for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from stages.errors import WeightsError
from stages.registry import config_from
from stages.stage import Stage
from stages.weights import Card, load_state, load_weights, read_card, read_tensors, save_weights

_SAME = 1e-4
# The part of a network that computes an input of it.
_ESTIMATOR = "estimator."


def grow_weights(
    weights: Path, grown: Path, *, width: int | None = None, estimator: int | None = None
) -> dict[str, Any]:
    """Write the weights of a larger network that answers as ``weights`` do.

    Args:
        weights: Of the network to begin with.
        grown: The file to write.
        width: Channels of the hidden layers; None to leave them.
        estimator: Channels of a network that estimates the noise level, which becomes an input; None for neither.

    Returns:
        The options that differ.

    Raises:
        ConfigError: if nothing is to be grown.
        WeightsError: if the stage has no such network that answers the same; then nothing is written.
    """
    card = read_card(weights)
    changes = {**_wider(weights, card, width), **_with_noise_level(weights, card, estimator)}
    if not changes:
        raise ConfigError("width: got neither width nor estimator, expected one of them or both")
    larger_card = card.model_copy(update={"config": {**card.config, **changes}})
    small, large = config_from(card).build(), config_from(larger_card).build()
    load_weights(small, weights)
    _refuse_other_layers(weights, small, large)
    layers = dict(large.named_modules())
    for name, layer in small.named_modules():
        _widen(layer, layers[name], parts=2 if name in small.joined else 1)
    worst = _difference(small, large)
    if worst > _SAME:
        raise WeightsError(
            f"{weights}: a {card.config['stage']} of width {width} would answer differently (by {worst:.2g} of full "
            "scale), as it joins or normalises channels; plain and residual networks and the U-Net can be grown"
        )
    save_weights(grown, large, larger_card)
    return changes


def join_weights(fine: Path, coarse: Path, joined: Path) -> dict[str, Any]:
    """Write the weights of a U-Net of two scales, which answers as the mean of two networks until it is trained.

    Args:
        fine: Weights of the U-Net for mild blur.
        coarse: Weights of the one for long blur, at half the size.
        joined: The file to write.

    Returns:
        The options that the fine network does not have.

    Raises:
        WeightsError: if these two cannot stand side by side; then nothing is written.
    """
    card, other = read_card(fine), read_card(coarse)
    options, found = ({"stage": config.stage, **config.architecture()} for config in map(config_from, (card, other)))
    expected = {**options, "unshuffle": 2 * options.get("unshuffle", 0), "width": found.get("width")}
    if found["stage"] != "unet" or found != expected:
        raise WeightsError(f"{coarse}: has the options {found}, expected a unet with {expected}")
    changes = {"coarse_width": found["width"]}
    joined_card = card.model_copy(update={"config": {**card.config, **changes}})
    network = config_from(joined_card).build()
    tensors = network.state_dict()
    for name, path in (("fine", fine), ("coarse", coarse)):
        tensors |= {f"{name}.{layer}": tensor for layer, tensor in read_tensors(path).items()}
    load_state(network, tensors, str(joined))
    save_weights(joined, network, joined_card)
    return changes


def _wider(weights: Path, card: Card, width: int | None) -> dict[str, Any]:
    if width is None:
        return {}
    before = card.config.get("width")
    if not isinstance(before, int) or before >= width:
        raise WeightsError(f"{weights}: its width is {before}, expected one below the grown network's, {width}")
    return {"width": width}


def _with_noise_level(weights: Path, card: Card, estimator: int | None) -> dict[str, Any]:
    if estimator is None:
        return {}
    if card.config["stage"] != "dncnn":
        raise WeightsError(f"{weights}: the stage {card.config['stage']} takes no noise level, expected dncnn")
    if card.config.get("noise_level_input"):
        raise WeightsError(f"{weights}: takes a noise level already, expected a network without that input")
    return {"noise_level_input": True, "estimator": estimator}


def _refuse_other_layers(weights: Path, small: Stage, large: Stage) -> None:
    """Refuse a width that makes another network, as a block of as many channels as it reads has no projection."""
    others = {name for name in small.state_dict().keys() ^ large.state_dict().keys() if not name.startswith(_ESTIMATOR)}
    if others:
        raise WeightsError(
            f"{weights}: this width makes another network, with or without {', '.join(sorted(others))}, as a block "
            "that makes as many channels as it reads needs no projection; expected another width"
        )


@torch.no_grad()
def _widen(old: nn.Module, new: nn.Module, parts: int) -> None:
    """Put a small layer's weights into a large one's; its outputs read no new channels.

    Args:
        old: The small layer.
        new: The large one, at random.
        parts: Tensors of as many channels that the layer reads side by side, each of which has grown.
    """
    inputs = 0 if isinstance(old, nn.ConvTranspose2d) else 1
    for name, small in (*old.named_parameters(recurse=False), *old.named_buffers(recurse=False)):
        _widen_tensor(small, getattr(new, name), inputs, parts)


def _widen_tensor(small: Tensor, large: Tensor, inputs: int, parts: int) -> None:
    if small.ndim < 2:
        large.view(-1)[: small.numel()] = small
        return
    outputs = small.shape[1 - inputs]
    kept = large.narrow(1 - inputs, 0, outputs).zero_()
    for before, after in zip(small.chunk(parts, inputs), kept.chunk(parts, inputs), strict=True):
        after.narrow(inputs, 0, before.shape[inputs]).copy_(before)


@torch.inference_mode()
def _difference(small: Stage, large: Stage) -> float:
    image = torch.rand(1, 3, 64, 64)
    return (small.eval()(image) - large.eval()(image)).abs().max().item()
