"""Where an encoder's training starts from: the weights that segmentation_models_pytorch publishes for it.

They belong to training alone: a weights file holds the encoder with all the rest.

pretrained: {kind: imagenet}                       # downloaded once
pretrained: {kind: imagenet, weights: FILE}        # .safetensors or .pth
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from stages.encoder_unet import EncoderUNet
from stages.errors import WeightsError
from stages.stage import FileBeside, Section
from stages.weights import load_state, read_published

_FILE = "model.safetensors"
_log = logging.getLogger(__name__)


class Pretrained(Section):
    """Published weights of a stage's encoder."""

    kind: Literal["imagenet"] = Field("imagenet", description="what the encoder was trained on")
    weights: FileBeside | None = Field(
        None, description="the published file, relative to the YAML; without it, downloaded once"
    )

    def load_into(self, stage: EncoderUNet) -> None:
        """Fill the encoder.

        Raises:
            WeightsError: if the weights are of another encoder, or are missing and cannot be downloaded.
        """
        path = self.weights or _download(stage.encoder_name)
        published = _read(path)
        encoder = stage.network.get_submodule("encoder")
        wanted = {name: published[name] for name in encoder.state_dict() if name in published}  # not the classifier
        load_state(encoder, wanted, f"{path}, expected to hold {stage.encoder_name},")


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return read_published(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a safetensors file ({error})") from error


def _download(encoder: str) -> Path:
    """Return the weights' place in the hub's cache, after downloading them if they are not there."""
    from huggingface_hub import hf_hub_download, hf_hub_url
    from segmentation_models_pytorch.encoders import encoders

    place = encoders[encoder]["pretrained_settings"]["imagenet"]
    repository, revision = place["repo_id"], place["revision"]
    _log.warning("looking for the ImageNet weights of %s; downloaded if they are not at hand", encoder)
    try:
        return Path(hf_hub_download(repository, _FILE, revision=revision))
    except (OSError, RuntimeError) as error:
        url = hf_hub_url(repository, _FILE, revision=revision)
        raise WeightsError(
            f"pretrained: the ImageNet weights of {encoder} are not here and cannot be downloaded "
            f"({type(error).__name__}). Download {url} where there is internet and give its path, "
            "--set pretrained.weights=FILE; or start from random weights, --set pretrained=null"
        ) from error
