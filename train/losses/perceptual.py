"""Perceptual losses: images compared by what networks trained on ImageNet see in them.

torchvision's networks and published weights, which are downloaded once into torch's cache.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.errors import WeightsError
from stages.weights import read_published

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureNetwork:
    """A torchvision network and how much of it is used.

    Attributes:
        builder: torchvision's name of it.
        depth: How many of the first layers of its ``features`` are kept.
        url: Published weights.
    """

    builder: str
    depth: int
    url: str

    @property
    def cached(self) -> Path:
        """Return where torch and torchvision keep the downloaded file."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]


# Both end at an eighth of the image's size, before an activation, as Wang et al. (ESRGAN, ECCVW 2018) advise.
NETWORKS: dict[str, FeatureNetwork] = {
    # The last block of 40 channels.
    "mobilenet_v3": FeatureNetwork(
        "mobilenet_v3_large", 7, "https://download.pytorch.org/models/mobilenet_v3_large-8738ca79.pth"
    ),
    # conv4_4
    "vgg19": FeatureNetwork("vgg19", 26, "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"),
}


class FeatureDistance(nn.Module):
    """L1 between the features of two images. Frozen: only the restored image gets a gradient.

    Args:
        features: Network from ``(B, 3, H, W)``, normalised as for ImageNet, to features.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        """Return one number for ``(B, 3, H, W)`` in ``[0, 1]``; H and W of at least 8 pixels."""
        with torch.no_grad():
            target = self._see(clean)
        return F.l1_loss(self._see(restored), target)

    def _see(self, image: Tensor) -> Tensor:
        features: Tensor = self.features((image - self.mean) / self.deviation)
        return features


def load_perceptual_loss(kind: str, weights: Path | None = None) -> FeatureDistance:
    """Build one of ``NETWORKS`` with its weights.

    Args:
        kind: Its name in the table.
        weights: torchvision's published file; if absent, torch's cache is looked up and, if need be, filled.

    Raises:
        WeightsError: if the weights are of another network, or are missing and cannot be downloaded.
    """
    network = NETWORKS[kind]
    path = weights or _download(kind, network)
    return FeatureDistance(_load_features(network, path))


def _download(kind: str, network: FeatureNetwork) -> Path:
    """Return the weights' place in torch's cache, after downloading them if they are not there."""
    path = network.cached
    if path.is_file():
        return path
    _log.warning("downloading %s to %s", network.url, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(network.url, str(path), hash_prefix=path.stem.rpartition("-")[2])
    except (OSError, HTTPException, RuntimeError) as error:  # the last for a broken download
        raise WeightsError(
            f"loss {kind}: its weights are not in {path} and cannot be downloaded ({error}). Download {network.url} "
            f"where there is internet; put the file there, or give its path: {{kind: {kind}, weights: {path.name}}}; "
            "or leave this loss out, --set loss=mse"
        ) from error
    return path


def _load_features(network: FeatureNetwork, path: Path) -> nn.Module:
    """Build the first layers of a network with their part of a whole network's weights."""
    from torchvision import models

    with torch.device("meta"):  # VGG19's classifier, never used, would take half a gigabyte and seconds
        features: nn.Module = models.get_model(network.builder, weights=None).features[: network.depth]
    content = read_published(path)
    state = {name: content.get(f"features.{name}") for name in features.state_dict()}
    wrong = [name for name, tensor in features.state_dict().items() if _shape(state[name]) != tensor.shape]
    if wrong:
        raise WeightsError(
            f"{path} does not hold torchvision's {network.builder}: features.{wrong[0]} has shape "
            f"{_shape(state[wrong[0]])}, expected {tuple(features.state_dict()[wrong[0]].shape)} "
            f"({len(wrong)} of {len(state)} tensors differ); expected the file {network.url}"
        )
    features.load_state_dict(state, assign=True)
    return features


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
