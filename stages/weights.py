"""Weights files: safetensors whose metadata hold a card with the network's options, its training and its scores.

An entry of the catalogue, a YAML file, stands in the place of one: its facts are the card, and the published file
that it names is downloaded when its tensors are wanted.
"""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from stages.atomic import written_whole
from stages.catalogue.cache import known_sha256, obtain
from stages.catalogue.entry import Entry, entry_paths, is_entry, read_entry
from stages.errors import WeightsError
from stages.stage import LearnedStageConfig, Normalized, Stage

SHIPPED_FOLDER = Path(__file__).parent / "weights"
_CARD_KEY = "restorechain.card"
_MOST_COMPRESSED = 10  # times


class Card(BaseModel):
    """Metadata of a weights file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any] = Field(description="the stage's tag and architecture")
    trained_for: str = Field("", description="the degradation it removes")
    data: str = Field("", description="what it was trained on")
    steps: int = Field(0, ge=0, description="optimizer steps")
    metrics: dict[str, float] = Field(default_factory=dict, description="scores, each named with its protocol")
    training: dict[str, Any] | None = Field(None, description="the whole training configuration, as JSON values")
    origin: str = Field("restorechain", description="who trained it, under which license")
    code_version: str = Field("", description="version of the code that wrote the file")


def shipped_weights() -> dict[str, Path]:
    """Return the weights files that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED_FOLDER.glob("*.safetensors"))}


def resolve(weights: str, folder: Path) -> Path:
    """Find a weights file, or the catalogue entry of one, by its name or its path relative to ``folder``.

    Nothing is downloaded.

    Raises:
        WeightsError: if there is neither, or for an entry that cannot be verified; the message lists the shipped names.
    """
    shipped, published = shipped_weights(), entry_paths()
    if weights in shipped:
        return shipped[weights]
    path = published.get(weights) or folder / weights
    try:
        path = path.resolve()
        is_file = path.is_file()
    except (OSError, ValueError):  # no possible name
        is_file = False
    if is_file:
        if is_entry(path):
            known_sha256(path, read_entry(path))
        return path
    close = difflib.get_close_matches(weights, [*shipped, *published], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    names = ", ".join(shipped) or "none"
    raise WeightsError(
        f"no weights {weights!r}: not a shipped name ({names}), none of the catalogue (restorechain weights list) and "
        f"no file {path}.{hint}"
    )


def read_card(path: Path) -> Card:
    """Read a weights file's card without its tensors, or the facts of a catalogue entry.

    Raises:
        WeightsError: if the file is not safetensors or carries no valid card.
    """
    if is_entry(path):
        return _card_of(path, read_entry(path))
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_CARD_KEY)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a safetensors file ({error})") from error
    if text is None:
        raise WeightsError(
            f"{path} has no card that names its network; a published state_dict becomes a weights file by "
            " `restorechain stages import`"
        )
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        raise WeightsError(f"{path} has a card that this version cannot read: {error}") from error


def _card_of(path: Path, entry: Entry) -> Card:
    own_file = {"weights": str(path)} if entry.stage == "spandrel" else {}  # its network is read from the file
    return Card(
        config={"stage": entry.stage, **entry.options, **own_file},
        trained_for=entry.trained_for,
        metrics={} if entry.figure is None else {entry.figure.protocol: entry.figure.psnr},
        origin=f"{path.stem}: {entry.terms}",
    )


def save_weights(path: Path, stage: Stage, card: Card) -> None:
    """Write a stage's weights and card; the file appears whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _network_of(stage).state_dict().items()}
    content = save(tensors, metadata={_CARD_KEY: card.model_dump_json()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def build_trained(config: LearnedStageConfig, path: Path) -> Stage:
    """Build a stage with the tensors of a weights file; no memory is taken for a network that the file does not fill.

    Raises:
        WeightsError: as from ``load_weights``.
    """
    if is_entry(path):
        stage = config.build()
        load_published(stage, obtain(path))
        return stage
    tensors = _read_own(path)
    with torch.device("meta"):
        _refuse_other_shapes(config.build(), tensors, str(path))
    stage = config.build()
    load_state(stage, tensors, str(path))
    return stage


def load_weights(stage: Stage, path: Path) -> None:
    """Fill ``stage`` with the tensors of a weights file, or of the published one that a catalogue entry names.

    Raises:
        WeightsError: if names or shapes differ; the message shows both sides. If a published file is not here and
            cannot be downloaded.
    """
    if is_entry(path):
        load_published(stage, obtain(path))
        return
    load_state(stage, _read_own(path), str(path))


def _read_own(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)


def load_published(stage: Stage, path: Path) -> None:
    """Fill ``stage`` with the tensors of a published state_dict.

    Raises:
        WeightsError: if it holds anything but tensors, or their names or shapes differ; the message shows both sides.
    """
    network = stage.network if isinstance(stage, Normalized) else stage
    load_state(stage, network.from_published(read_published(path)), str(path))


def load_state(stage: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Fill ``stage`` with named tensors, all of them and nothing else.

    Raises:
        WeightsError: if names or shapes differ; the message shows both sides.
    """
    _refuse_other_shapes(stage, tensors, source)
    _network_of(stage).load_state_dict(dict(tensors))


def _refuse_other_shapes(stage: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    network = _network_of(stage)
    have = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    want = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    differences = [
        f"{name}: file {have.get(name, 'nothing')}, network {want.get(name, 'nothing')}"
        for name in sorted(have.keys() | want.keys())
        if have.get(name) != want.get(name)
    ]
    if differences:
        shown = "\n  ".join(differences[:8])
        rest = f"\n  ... and {len(differences) - 8} more" if len(differences) > 8 else ""
        raise WeightsError(
            f"{source} does not fit this {type(network).__name__} (tensor: file, network):\n  {shown}{rest}"
        )


def _network_of(stage: nn.Module) -> nn.Module:
    return stage.network if isinstance(stage, Normalized) else stage


def read_published(path: Path) -> dict[str, Tensor]:
    """Read a published state_dict without running any code in it.

    Training frameworks wrap the tensors in a dict under ``params``, ``params_ema`` or ``state_dict``; those trained on
    several devices put ``module.`` before every name.

    Raises:
        WeightsError: if the file holds anything but tensors.
    """
    content = read_tensors(path)
    for wrapper in ("params_ema", "params", "state_dict"):
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path} holds more than tensors, expected a state_dict of tensors")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def read_tensors(path: Path) -> dict[str, Any]:
    """Read a ``.safetensors`` file or a pickle of tensors in plain containers, as it is, on the CPU.

    Raises:
        WeightsError: if the file holds anything else, such as a whole pickled module, which is never loaded.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _refuse_bomb(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # the unpickler raises many types; its texts advise to run the code in the file
        raise WeightsError(
            f"{path} is not a file of plain tensors, such as torch.save(state_dict) writes; nothing else is loaded"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds {type(content).__name__}, expected a state_dict of tensors")
    for tensor in _tensors_in(content):
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise WeightsError(f"{path} claims a tensor of {tuple(tensor.shape)}, but holds a part of its numbers only")
    return content


def _refuse_bomb(path: Path) -> None:
    """Refuse an archive that unpacks to far more than weights compress to; torch.save does not compress at all."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size, unpacked = path.stat().st_size, sum(entry.file_size for entry in archive.infolist())
        if unpacked > _MOST_COMPRESSED * size:
            raise WeightsError(f"{path} of {size} bytes claims to unpack to {unpacked}, expected weights")


def _tensors_in(content: Mapping[str, Any]) -> Iterator[Tensor]:
    for value in content.values():
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping):
            yield from _tensors_in(value)
