"""Make a wider network of a narrow one that gives the same results: function-preserving growth.

Chen, Goodfellow, Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016,
https://arxiv.org/abs/1511.05641. Old channels keep their weights and take nothing from the new ones at first; new
channels begin at random, unlike Net2Net's copies, which Muon would keep moving alike.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from stages.errors import WeightsError
from stages.registry import config_from
from stages.stage import Stage
from stages.weights import load_weights, read_card, save_weights

_SAME = 1e-4


def widen_weights(weights: Path, grown: Path, width: int) -> None:
    """Write the weights of a network with more channels that answers as ``weights`` do.

    Raises:
        WeightsError: if the stage has no wider network that answers the same; then nothing is written.
    """
    card = read_card(weights)
    before = card.config.get("width")
    if not isinstance(before, int) or before >= width:
        raise WeightsError(f"{weights}: its width is {before}, expected one below the grown network's, {width}")
    widened = card.model_copy(update={"config": {**card.config, "width": width}})
    narrow, wide = config_from(card).build(), config_from(widened).build()
    load_weights(narrow, weights)
    layers = dict(wide.named_modules())
    for name, layer in narrow.named_modules():
        _widen(layer, layers[name], parts=2 if name in narrow.joined else 1)
    worst = _difference(narrow, wide)
    if worst > _SAME:
        raise WeightsError(
            f"{weights}: a {card.config['stage']} of width {width} would answer differently (by {worst:.2g} of full "
            "scale), as it joins or normalises channels; plain and residual networks and the U-Net can be grown"
        )
    save_weights(grown, wide, widened)


@torch.no_grad()
def _widen(old: nn.Module, new: nn.Module, parts: int) -> None:
    """Put a narrow layer's weights into a wide one's; its outputs read no new channels.

    Args:
        old: The narrow layer.
        new: The wide one, at random.
        parts: Tensors of as many channels that the layer reads side by side, each of which has grown.
    """
    inputs = 0 if isinstance(old, nn.ConvTranspose2d) else 1
    for name, narrow in (*old.named_parameters(recurse=False), *old.named_buffers(recurse=False)):
        _widen_tensor(narrow, getattr(new, name), inputs, parts)


def _widen_tensor(narrow: Tensor, wide: Tensor, inputs: int, parts: int) -> None:
    if narrow.ndim < 2:
        wide.view(-1)[: narrow.numel()] = narrow
        return
    outputs = narrow.shape[1 - inputs]
    kept = wide.narrow(1 - inputs, 0, outputs).zero_()
    for before, after in zip(narrow.chunk(parts, inputs), kept.chunk(parts, inputs), strict=True):
        after.narrow(inputs, 0, before.shape[inputs]).copy_(before)


@torch.inference_mode()
def _difference(narrow: Stage, wide: Stage) -> float:
    image = torch.rand(1, 3, 64, 64)
    return (narrow.eval()(image) - wide.eval()(image)).abs().max().item()
