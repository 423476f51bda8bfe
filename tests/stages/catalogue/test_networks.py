"""Files with the published names and shapes, and random values, load into the network of every entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stages.catalogue.entry import PACKAGE_FOLDER, read_entry
from stages.edsr import EDSRConfig
from stages.foreign import SpandrelConfig
from stages.options import find_config
from stages.own_entries import add_entry
from stages.profile import build_on_meta, count_parameters, stage_costs, total
from stages.registry import config_from, load_stage
from stages.weights import read_card, read_published, resolve
from tests.stages.catalogue.architectures import ARCHITECTURES, network_of

NAMES = sorted(path.stem for path in PACKAGE_FOLDER.glob("*.yaml"))
OWN = [name for name in NAMES if name not in ARCHITECTURES]


def entry_of(name: str) -> Path:
    return PACKAGE_FOLDER / f"{name}.yaml"


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def edsr_tensors(width: int, depth: int, scale: int = 2) -> dict[str, Tensor]:
    """The state_dict of the authors' EDSR, with random values."""
    layers = {"sub_mean": (3, 3, 1), "add_mean": (3, 3, 1), "head.0": (width, 3, 3)}
    layers |= {f"body.{block}.body.{conv}": (width, width, 3) for block in range(depth) for conv in (0, 2)}
    layers |= {f"body.{depth}": (width, width, 3), "tail.0.0": (width * scale**2, width, 3), "tail.1": (3, width, 3)}
    tensors = {}
    for name, (outputs, inputs, size) in layers.items():
        tensors[f"{name}.weight"] = torch.randn(outputs, inputs, size, size) * 0.1
        tensors[f"{name}.bias"] = torch.randn(outputs)
    return tensors


def published_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Return names and shapes as spandrel's, or the authors', implementation of an own network has them."""
    from spandrel.architectures.DnCNN import DnCNN
    from spandrel.architectures.NAFNet import NAFNet

    options = read_entry(entry_of(name)).options
    with torch.device("meta"):
        if name.startswith("nafnet"):
            blocks = {"enc_blk_nums": options["encoder_blocks"], "dec_blk_nums": options["decoder_blocks"]}
            network = NAFNet(width=options["width"], middle_blk_num=options["middle_blocks"], **blocks)
        elif name.startswith("dncnn"):
            channels = options.get("channels", 3)
            network = DnCNN(in_nc=channels, out_nc=channels, nb=options.get("depth", 20), act_mode="R")
        else:
            network = build_on_meta(config_from(read_card(entry_of(name))))
            tensors = edsr_tensors(options.get("width", 64), options.get("depth", 16))
            return shapes(network.from_published(tensors))
    return shapes(network.state_dict())


@pytest.mark.parametrize("name", [name for name in OWN if not name.startswith(("ffdnet", "smfanet", "uformer"))])
def test_own_networks_have_the_published_names_and_shapes(name: str) -> None:
    stage = build_on_meta(config_from(read_card(entry_of(name))))
    assert shapes(stage.state_dict()) == published_shapes(name)
    assert count_parameters(stage) == read_entry(entry_of(name)).parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_own_networks_cost_what_their_entries_say(name: str) -> None:
    entry = read_entry(entry_of(name))
    stage = build_on_meta(find_config(name) if entry.sha256 else config_from(read_card(entry_of(name))))
    cost = total(stage_costs(stage, 360, 640))
    assert (cost.parameters, stage.scale) == (entry.parameters, entry.scale)
    assert cost.macs / 1e9 == pytest.approx(entry.gmacs, abs=0.06)
    assert entry.size is None or entry.size == pytest.approx(4 * cost.parameters, rel=0.06)


def test_edsr_s_published_files_are_converted() -> None:
    """The authors' network, as its paper and code have it, on images in [0, 255]."""
    tensors = edsr_tensors(width=6, depth=2)
    config = EDSRConfig(width=6, depth=2, res_scale=0.5)
    stage = config.build().eval()
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(3, 1, 1) * 255

    def conv(name: str, image: Tensor) -> Tensor:
        return F.conv2d(image, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1)

    stage.load_state_dict(stage.from_published(tensors))
    image = torch.rand(1, 3, 7, 9)
    head = features = conv("head.0", image * 255 - mean)
    for block in range(2):
        features = features + 0.5 * conv(f"body.{block}.body.2", F.relu(conv(f"body.{block}.body.0", features)))
    features = head + conv("body.2", features)
    expected = conv("tail.1", F.pixel_shuffle(conv("tail.0.0", features), 2)) + mean
    torch.testing.assert_close(stage(image) * 255, expected, atol=1e-2, rtol=1e-5)


def test_own_files_of_edsr_are_left_alone() -> None:
    stage = EDSRConfig(width=4, depth=1).build()
    tensors = stage.state_dict()
    assert stage.from_published(tensors) is tensors


SMALLER = {
    "bsrgan_x2": {"num_blocks": 1, "num_filters": 8},
    "drunet_color": {"nc": [4, 8, 8, 8]},
    "fftformer_gopro": {"dim": 8, "num_blocks": [1, 1, 1, 1]},
    "hat_s_x2": {"depths": [1, 1], "num_heads": [2, 2], "embed_dim": 16, "compress_ratio": 4, "squeeze_factor": 4},
    "realesr_general_x4": {"num_conv": 2, "num_feat": 8},
    "realesrgan_x2": {"num_blocks": 1, "num_filters": 8},
    "realplksr_denoise": {"n_blocks": 2, "dim": 16},
    "scunet_color_real_psnr": {"config": [1] * 7},
    "swinir_x2": {"depths": [2], "num_heads": [2], "embed_dim": 12},
    "swinir_jpeg_40": {"depths": [2], "num_heads": [2], "embed_dim": 12},
}


@pytest.mark.parametrize("name", SMALLER)
def test_small_equivalents_go_through_the_door_and_give_what_spandrel_gives(
    name: str, tmp_path: Path, weights_cache: Path
) -> None:
    from spandrel import ModelLoader

    network = network_of(name, **SMALLER[name])
    torch.save({"params": network.state_dict()}, tmp_path / "net.pth")
    path = add_entry(str(tmp_path / "net.pth"), "small", stage="spandrel")
    stage = SpandrelConfig(weights=resolve("small", tmp_path)).build().eval()
    image = torch.rand(1, 3, 64, 64)
    peer = ModelLoader().load_from_state_dict(network.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(stage(image), peer(image), atol=0, rtol=0)
        assert torch.equal(load_stage(path)(image), stage(image))
    assert read_entry(path).scale == stage.scale == read_entry(entry_of(name)).scale


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_full_size_files_go_through_the_door(name: str, tmp_path: Path, weights_cache: Path) -> None:
    torch.save({"params": network_of(name).state_dict()}, tmp_path / "net.pth")
    add_entry(str(tmp_path / "net.pth"), "full", stage="spandrel")
    stage = SpandrelConfig(weights=resolve("full", tmp_path)).build()
    entry = read_entry(entry_of(name))
    assert (count_parameters(stage), stage.scale) == (entry.parameters, entry.scale)
    size = (tmp_path / "net.pth").stat().st_size
    copies = 2 if name == "hat_s_x2" else 1  # which holds the averaged weights, too
    assert entry.size is None or entry.size == pytest.approx(copies * size, rel=0.05)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("dncnn_gray_25", "dncnn_gray_sigma25_kair.pth"),
        ("ffdnet_color", "ffdnet_color_kair.pth"),
        ("smfanet_plus_x2", "smfanet_plus_x2_df2k.pth"),
    ],
)
def test_published_files_are_those_of_their_entries(
    name: str, file: str, shared_data: Path, published: Callable[[str, str], Path]
) -> None:
    entry = published(name, file)
    stage = load_stage(entry)
    assert count_parameters(stage) == read_entry(entry).parameters
    first = next(iter(read_published(shared_data / "published" / file).values()))
    assert torch.equal(next(stage.parameters()), first)
