"""Compute heat maps of a network's levels: HiResCAM, a Grad-CAM for networks whose output is an image.

Target: the effect of the stage, its mean squared change ``T = mean((stage(x) - x)^2)``; a stage that upscales is
compared with x upscaled bicubically. For a deblurring network that is the sharpening, for a denoiser the noise.

Map of a level with the activations A, ``(C, h, w)``:

    heat[i, j] = ReLU(sum over c of  A[c, i, j] * dT/dA[c, i, j])

That is HiResCAM (Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
neural networks", 2020, https://arxiv.org/abs/2011.08891): Grad-CAM (Selvaraju et al., ICCV 2017,
https://arxiv.org/abs/1610.02391) without the step that averages the gradients over all positions. A class score may
be averaged so; the change of an image is signed (edges get brighter on one side and darker on the other) and
averages to nothing. What remains is exact where it can be: at a last convolution without bias, the heat of a place is
its share of T.

Not done by pytorch-grad-cam, although it has HiResCAM: it averages the maps of all layers into one, pairs activations
with gradients by the order of calls and not by layer, and holds copies of all of them, where one hook each is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from pipeline.inspection.levels import as_map, probe, recording
from stages.layers import bicubic_upscale
from stages.stage import Stage


def heat_maps(stage: Stage, image: Tensor, levels: Sequence[str]) -> dict[str, Tensor]:
    """Compute the heat of every place at some levels of a network.

    Args:
        stage: In eval mode.
        image: Input of the stage, ``(1, 3, H, W)`` in ``[0, 1]`` on its device, H and W multiples of ``multiple_of``.
        levels: Paths of modules whose output is a map of the image.

    Returns:
        By level, ``(h, w)`` at the level's own size; not negative, and only comparable within a level.
    """
    maps: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor, gradient: Tensor) -> None:
        product = as_map(output.detach() * gradient, *image.shape[-2:])
        assert product is not None, name
        maps[name] = product.sum(dim=0).relu()

    image = image.detach().requires_grad_()
    with torch.enable_grad(), recording(stage, levels) as outputs:
        target = squared_change(stage(image), image).mean()
        # Only now: an in-place ReLU has replaced the output of its convolution by another tensor.
        for name, output in outputs.items():
            output.register_hook(partial(keep, name, output))
        torch.autograd.grad(target, image)
    return {name: maps[name] for name in levels}


def squared_change(result: Tensor, image: Tensor) -> Tensor:
    """Return the squared difference of a stage's output and its input, upscaled bicubically to the same size."""
    scale = result.shape[-1] // image.shape[-1]
    return (result.float() - bicubic_upscale(image.detach(), scale)).square()


def bytes_kept_per_pixel(stage: Stage) -> float:
    """Return the bytes per pixel of the image that ``heat_maps`` keeps for its gradients, measured on a small image."""
    image = probe(stage).requires_grad_()
    weights = {parameter.untyped_storage().data_ptr() for parameter in stage.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        squared_change(stage(image), image).mean()
    return sum(size for place, size in kept.items() if place not in weights) / image[0, 0].numel()
