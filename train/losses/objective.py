"""What training minimizes: the YAML's list of losses as types, and their weighted sum.

loss: l1

loss:
  - charbonnier
  - {kind: fft, weight: 0.1}
  - {kind: vgg19, weight: 0.01, weights: vgg19-dcbb9e9d.pth}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BeforeValidator, Field
from torch import Tensor, nn

from stages.stage import FileBeside, Section
from train.losses.functions import LOSSES, Loss
from train.losses.perceptual import NETWORKS, load_perceptual_loss


class FormulaTerm(Section):
    """A loss that is a formula."""

    kind: Literal[*LOSSES]  # type: ignore[valid-type]  # the table has the names
    weight: float = Field(1.0, gt=0, description="factor in the sum")

    def build(self) -> Loss:
        """Look the function up."""
        return LOSSES[self.kind]


class PerceptualTerm(Section):
    """A loss that needs a network trained on ImageNet."""

    kind: Literal[*NETWORKS]  # type: ignore[valid-type]  # the table has the names
    weight: float = Field(1.0, gt=0, description="factor in the sum")
    weights: FileBeside | None = Field(
        None, description="torchvision's published file, relative to the YAML; without it, downloaded once"
    )

    def build(self) -> Loss:
        """Load the network.

        Raises:
            WeightsError: if the weights do not fit, or are missing and cannot be downloaded.
        """
        return load_perceptual_loss(self.kind, self.weights)


Term = Annotated[FormulaTerm | PerceptualTerm, Field(discriminator="kind")]


def _as_list(loss: Any) -> Any:
    """Write out the short forms: a bare name is a term of weight 1, a single term a list of one."""
    terms = [loss] if isinstance(loss, str | dict) else loss
    if not isinstance(terms, list):
        return terms
    return [{"kind": term} if isinstance(term, str) else term for term in terms]


def _each_once(terms: list[Term]) -> list[Term]:
    twice = [kind for kind, count in Counter(term.kind for term in terms).items() if count > 1]
    if twice:
        raise ValueError(f"{', '.join(twice)} given twice; keep one and add the weights")
    return terms


Terms = Annotated[list[Term], Field(min_length=1), BeforeValidator(_as_list), AfterValidator(_each_once)]


class Objective:
    """Weighted sum of losses.

    It is no ``nn.Module``, and a deep copy of it is the object itself, because the feature networks in it belong
    neither into checkpoints nor into the averaged copy of the trained stage.

    Raises:
        WeightsError: if the weights of a perceptual loss are not at hand.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self.weights = {term.kind: term.weight for term in terms}
        self.losses = {term.kind: term.build() for term in terms}

    def __call__(self, restored: Tensor, clean: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare ``(B, 3, H, W)`` images, in float32 whatever precision the training runs in.

        Returns:
            The weighted sum, and every loss by name: detached, and without its weight.
        """
        # In half precision squares underflow, spectra overflow and local variances vanish.
        with torch.autocast(restored.device.type, enabled=False):
            values = {kind: loss(restored.float(), clean.float()) for kind, loss in self.losses.items()}
        total = torch.stack([self.weights[kind] * value for kind, value in values.items()]).sum()
        return total, {kind: value.detach() for kind, value in values.items()}

    def __deepcopy__(self, memo: dict[int, Any]) -> Objective:
        return self

    def to(self, device: torch.device) -> None:
        """Move the feature networks to where the images are."""
        for loss in self.losses.values():
            if isinstance(loss, nn.Module):
                loss.to(device)
