"""Networks of other projects. ``data/compact_x2.safetensors`` is a tiny one with random weights."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from stages.dncnn import DnCNNConfig
from stages.errors import WeightsError
from stages.extras import install_hint
from stages.foreign import SpandrelConfig
from stages.profile import count_macs, count_parameters

COMPACT = Path(__file__).parent / "data" / "compact_x2.safetensors"


def publish(folder: Path, tensors: Mapping[str, Tensor], wrapper: str | None = None) -> Path:
    torch.save({wrapper: tensors} if wrapper else dict(tensors), folder / "published.pth")
    return folder / "published.pth"


def tiny_dncnn(channels: int) -> DnCNNConfig:
    return DnCNNConfig(channels=channels, depth=9, width=4, batch_norm=False)


def tiny_esrgan(**options: Any) -> dict[str, Tensor]:
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_filters=4, num_blocks=1, **options).state_dict()


def test_scale_and_halo_come_from_the_file() -> None:
    stage = SpandrelConfig(weights=COMPACT).build()
    assert (stage.scale, stage.multiple_of, stage.halo) == (2, 1, 4)


def test_gives_what_spandrel_gives() -> None:
    from spandrel import ModelLoader

    image = torch.rand(1, 3, 9, 7)
    expected = ModelLoader().load_from_file(COMPACT)(image)
    assert torch.equal(SpandrelConfig(weights=COMPACT).build().eval()(image), expected)


@pytest.mark.parametrize("wrapper", [None, "params", "params_ema", "state_dict"])
def test_our_dncnn_is_theirs(tmp_path: Path, wrapper: str | None) -> None:
    ours = tiny_dncnn(3).build().eval()
    theirs = SpandrelConfig(weights=publish(tmp_path, ours.state_dict(), wrapper)).build().eval()
    image = torch.rand(1, 3, 12, 10)
    torch.testing.assert_close(theirs(image), ours(image).clamp(0, 1), atol=1e-5, rtol=0)
    assert theirs.halo == ours.halo


def test_half_precision_only_where_the_network_bears_it(tmp_path: Path) -> None:
    """As spandrel has it, DnCNN bears bf16, but not fp16."""
    stage = SpandrelConfig(weights=publish(tmp_path, tiny_dncnn(3).build().state_dict())).build().eval()
    image = torch.rand(1, 3, 12, 10)
    with torch.autocast("cpu", torch.float16):
        assert torch.equal(stage(image), stage(image).float())
        in_fp16 = stage(image)
    with torch.autocast("cpu", torch.bfloat16):
        in_bf16 = stage(image).float()
    assert torch.equal(in_fp16, stage(image))
    assert not torch.equal(in_bf16, stage(image))


def test_halo_is_unknown_unless_given(tmp_path: Path) -> None:
    path = publish(tmp_path, tiny_esrgan(scale=2))
    assert SpandrelConfig(weights=path).build().halo is None
    assert SpandrelConfig(weights=path, halo=12).build().halo == 12


def test_sizes_that_the_network_does_not_take_are_padded(tmp_path: Path) -> None:
    stage = SpandrelConfig(weights=publish(tmp_path, tiny_esrgan(in_nc=12, scale=4, shuffle_factor=2))).build()
    assert (stage.scale, stage.multiple_of) == (2, 4)
    assert stage(torch.rand(1, 3, 1, 1)).shape == (1, 3, 2, 2)


def test_tiles_of_scunet_begin_on_the_grid_of_its_windows(tmp_path: Path) -> None:
    from spandrel.architectures.SCUNet import SCUNet

    stage = SpandrelConfig(weights=publish(tmp_path, SCUNet(config=[1] * 7).state_dict()), halo=64).build().eval()
    image = torch.rand(1, 3, 64, 192)
    with torch.inference_mode():
        whole, on_grid, off_grid = (stage(image[..., start:])[..., 128 - start :] for start in (0, 64, 32))
    assert stage.multiple_of == 64
    assert 10 * (on_grid - whole).abs().max() < (off_grid - whole).abs().max()


def test_work_is_counted() -> None:
    """4 convolutions of 3x3: 3 to 4, twice 4 to 4, 4 to 12 = 3 x 2 x 2 channels."""
    assert count_macs(SpandrelConfig(weights=COMPACT), 10, 10) == 9 * 100 * (12 + 16 + 16 + 48)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"foo.weight": torch.ones(2)}, "of no architecture that spandrel knows"),
        (tiny_dncnn(1).build().state_dict(), "is DnCNN from 1 to 1 channels, expected one from RGB to RGB"),
        ({"body.0.weight": torch.ones(2), "body.1.weight": torch.ones(2)}, "damaged, or of a variant"),
        (torch.ones(2), "holds Tensor, expected a state_dict"),
        (SimpleNamespace(), "not a file of plain tensors"),
    ],
    ids=["unknown", "gray", "damaged", "tensor", "object"],
)
def test_what_cannot_be_a_stage_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=message):
        SpandrelConfig(weights=tmp_path / "x.pth").build()


@pytest.mark.parametrize("name", ["x.safetensors", "x.pt", "x.ckpt", "x.onnx"])
def test_nonsense_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="not a file of plain tensors"):
        SpandrelConfig(weights=tmp_path / name).build()


@pytest.mark.parametrize(("purpose", "message"), [("Inpainting", "fills in masked holes"), ("FaceSR", "cropped faces")])
def test_networks_for_other_purposes_are_refused(monkeypatch: pytest.MonkeyPatch, purpose: str, message: str) -> None:
    import spandrel

    descriptor = SimpleNamespace(purpose=purpose, architecture=SimpleNamespace(name="Net"))
    monkeypatch.setattr(spandrel.MAIN_REGISTRY, "load", lambda tensors: descriptor)
    with pytest.raises(WeightsError, match=f"is Net, which .*{message}"):
        SpandrelConfig(weights=COMPACT).build()


def test_validating_reads_nothing_and_building_reads_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import stages.foreign

    reads = []
    original = stages.foreign.read_tensors
    monkeypatch.setattr(stages.foreign, "read_tensors", lambda path: reads.append(path) or original(path))
    config = SpandrelConfig(weights=COMPACT)
    assert not reads
    config.build()
    assert reads == [COMPACT]


def test_without_spandrel_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(WeightsError, match=re.escape(install_hint("zoo"))):
        SpandrelConfig(weights=COMPACT).build()


def test_a_published_file(shared_data: Path) -> None:
    stage = SpandrelConfig(weights=shared_data / "published" / "realesr-animevideov3.pth").build().eval()
    assert (count_parameters(stage), stage.scale, stage.halo) == (621_424, 4, 18)
    image = torch.rand(1, 3, 60, 20)
    with torch.inference_mode():
        whole, part = stage(image), stage(image[..., 20:, :])
    torch.testing.assert_close(part[..., 18 * 4 :, :], whole[..., 38 * 4 :, :], atol=1e-5, rtol=0)
