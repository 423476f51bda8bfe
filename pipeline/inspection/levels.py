"""Find the levels of any network by its modules and their outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.tiling import round_up
from stages.stage import Stage

_PROBE_SIDE = 32


def find_levels(stage: Stage) -> list[str]:
    """Return the paths of a network's levels, such as ``encoder.2``, in the order in which they are computed.

    Levels are the stage's children that hold parameters. A ``Sequential``, a list, or any other child whose output is
    not a map is replaced by the modules inside it. A child that holds everything is replaced by its own children.
    """
    order = find_maps(stage)
    names = _learned_inside(stage, "")
    while len(names) == 1 and _learned_inside(stage, names[0]):
        names = _learned_inside(stage, names[0])
    levels: set[str] = set()
    for name in names:
        opened = isinstance(stage.get_submodule(name), nn.Sequential)
        for inner in _learned_inside(stage, name) if opened else [name]:
            levels.update(_outermost(stage, inner, order))
    return [name for name in order if name in levels]


def find_maps(stage: Stage) -> list[str]:
    """Return the paths of all modules whose output is a map of the image, in the order in which they finish."""
    image = probe(stage)
    with torch.inference_mode(), recording(stage, [name for name, _ in stage.named_modules() if name]) as outputs:
        stage(image)
    return [name for name, output in outputs.items() if as_map(output, *image.shape[-2:]) is not None]


def probe(stage: Stage) -> Tensor:
    """Return a small input on a stage's device, twice as wide as high: no square output is taken for a map."""
    side = round_up(_PROBE_SIDE, stage.multiple_of)
    device = next(stage.parameters(), torch.empty(0)).device
    return torch.full(stage.input_shape(side, 2 * side), 0.5, device=device)


@contextmanager
def recording(stage: Stage, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield a dict that collects the outputs of the named modules while the stage runs."""
    outputs: dict[str, Any] = {}

    def keep(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        outputs[name] = output

    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(stage.get_submodule(name).register_forward_hook(partial(keep, name)))
        yield outputs


def as_map(output: Any, height: int, width: int) -> Tensor | None:
    """View a module's output as a map ``(C, h, w)`` of an image, the batch joined with the channels; else None.

    Maps are ``(B, C, h, w)`` and, as transformers have them, ``(1, h * w, C)``, where ``h / w`` is ``height / width``.
    """
    if not isinstance(output, Tensor):
        return None
    if output.ndim == 4 and output.shape[2] * width == output.shape[3] * height:
        return output.flatten(0, 1)
    if output.ndim == 3 and len(output) == 1:
        h = math.isqrt(output.shape[1] * height // width)
        w = h * width // height
        if 0 < h * w == output.shape[1] and h * width == w * height:
            return output[0].T.unflatten(1, (h, w))
    return None


def _learned_inside(stage: Stage, name: str) -> list[str]:
    """Return the paths of a module's children that hold parameters."""
    children = stage.get_submodule(name).named_children()
    return [f"{name}.{child}".lstrip(".") for child, module in children if any(True for _ in module.parameters())]


def _outermost(stage: Stage, name: str, maps: Iterable[str]) -> list[str]:
    if name in maps:
        return [name]
    return [level for inner in _learned_inside(stage, name) for level in _outermost(stage, inner, maps)]
