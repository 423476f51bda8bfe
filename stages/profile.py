"""What a stage costs, counted from its architecture without computing anything."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from stages.stage import Stage, StageConfig


@dataclass(frozen=True)
class Cost:
    """What one layer, or several together, costs for one image.

    Attributes:
        name: The module's path in the stage; empty for the stage itself.
        kind: The module's class, or the number of layers in a group.
        parameters: Trainable numbers.
        macs: Multiply-accumulates of convolutions and matrix products.
        activations: Number of outputs of those operations, as counted by Radosavovic et al., "Designing Network
            Design Spaces", CVPR 2020, https://arxiv.org/abs/2003.13678.
    """

    name: str
    kind: str
    parameters: int
    macs: int
    activations: int


def count_parameters(stage: Stage) -> int:
    """Count trainable numbers."""
    return sum(parameter.numel() for parameter in stage.parameters())


def count_macs(config: StageConfig, height: int, width: int) -> int:
    """Count multiply-accumulates of convolutions and matrix products for one image; see ``layer_costs``."""
    return total(layer_costs(config, height, width)).macs


def layer_costs(config: StageConfig, height: int, width: int) -> list[Cost]:
    """Count what every layer costs for one image, as the stage is run: batch norm folded.

    A module that holds others counts only what it computes itself; the costs add up to the stage's.
    Sizes are rounded up to what the stage divides by. Runs on the meta device: no memory, no time.
    """
    return stage_costs(build_on_meta(config), height, width)


def build_on_meta(config: StageConfig) -> Stage:
    """Build a stage as it is run, batch norm folded, on the meta device: without memory for its weights."""
    with torch.device("meta"):
        return config.build().eval().fuse()


def stage_costs(stage: Stage, height: int, width: int) -> list[Cost]:
    """Count what every layer of a stage on the meta device costs for one image; see ``layer_costs``."""
    padded = (_round_up(side, stage.multiple_of) for side in (height, width))
    image = torch.empty(stage.input_shape(*padded), device="meta")
    work, outputs = FlopCounterMode(display=False), FlopCounterMode(display=False, custom_mapping=_ELEMENTS)
    with work, outputs, torch.inference_mode():
        stage(image)
    flops, activations = _own_counts(work, stage), _own_counts(outputs, stage)
    costs = [
        Cost(
            name=name,
            kind=type(module).__name__,
            parameters=sum(parameter.numel() for parameter in module.parameters(recurse=False)),
            macs=flops[name] // 2,
            activations=activations[name],
        )
        for name, module in stage.named_modules()
    ]
    return [cost for cost in costs if cost.parameters or cost.macs]


def total(costs: Sequence[Cost], name: str = "", kind: str = "") -> Cost:
    """Add up costs under a new name."""
    return Cost(
        name,
        kind,
        sum(cost.parameters for cost in costs),
        sum(cost.macs for cost in costs),
        sum(cost.activations for cost in costs),
    )


def grouped(costs: Sequence[Cost], at_most: int) -> list[Cost]:
    """Add up layers of the same parent, then of the same grandparent and so on, until few enough groups are left.

    Each group keeps the place of its first layer. If there are more outermost modules than ``at_most``, each of them
    is a group.
    """
    for depth in range(max((cost.name.count(".") for cost in costs), default=0) + 1, 0, -1):
        groups: dict[str, list[Cost]] = {}
        for cost in costs:
            groups.setdefault(".".join(cost.name.split(".")[:depth]), []).append(cost)
        if len(groups) <= at_most:
            break
    return [
        members[0] if len(members) == 1 else total(members, name, f"{len(members)} layers")
        for name, members in groups.items()
    ]


def _own_counts(counter: FlopCounterMode, stage: Stage) -> Counter[str]:
    """Return each module's own count; the counter's include those of the modules inside."""
    root = type(stage).__name__
    counts = Counter({name: sum(by_operation.values()) for name, by_operation in counter.get_flop_counts().items()})
    inclusive = {name: counts[f"{root}.{name}" if name else root] for name, _ in stage.named_modules()}
    own = Counter(inclusive)
    for name in filter(None, inclusive):
        own[_nearest_called(name, inclusive)] -= inclusive[name]
    return own


def _nearest_called(name: str, counts: Mapping[str, int]) -> str:
    """Return the innermost module around another that was called itself; a list of modules is not."""
    while name:
        name = name.rpartition(".")[0]
        if counts[name]:
            return name
    return ""


def _output_elements(*args: Any, out_shape: Any, **kwargs: Any) -> int:
    shape = out_shape if isinstance(out_shape, torch.Size) else out_shape[0]  # attention returns its statistics, too
    return math.prod(shape)


_ELEMENTS = dict.fromkeys(flop_registry, _output_elements)


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
