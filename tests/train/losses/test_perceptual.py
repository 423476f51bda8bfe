from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn

from stages.errors import WeightsError
from train.losses.perceptual import NETWORKS, load_perceptual_loss


def test_features_are_compared_and_only_the_restored_image_learns(mobilenet: Path) -> None:
    loss = load_perceptual_loss("mobilenet_v3", mobilenet)
    clean = torch.rand(2, 3, 32, 40)
    noise = torch.randn_like(clean)
    far, near = (nn.Parameter(clean + distance * noise) for distance in (0.2, 0.02))
    assert loss(far, clean) > loss(near, clean) > loss(clean, clean) == 0
    loss(far, clean).backward()
    assert far.grad is not None
    assert far.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in loss.parameters())
    assert not any(module.training for module in loss.features.modules())


def test_networks_see_what_torchvision_feeds_them(mobilenet: Path) -> None:
    from torchvision import models
    from torchvision.transforms.functional import normalize

    network = models.mobilenet_v3_large()
    network.load_state_dict(torch.load(mobilenet, weights_only=True))
    features = network.eval().features[:7]
    restored, clean = torch.rand(2, 1, 3, 32, 32)
    first, second = (
        features(normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])) for image in (restored, clean)
    )
    assert first.shape == (1, 40, 4, 4)
    expected = (first - second).abs().mean()
    torch.testing.assert_close(load_perceptual_loss("mobilenet_v3", mobilenet)(restored, clean), expected)


def test_vgg19_ends_at_conv4_4(tmp_path: Path) -> None:
    from torchvision.models import vgg

    layers = vgg.make_layers(vgg.cfgs["E"])[:26]
    weights = tmp_path / "vgg19.pth"
    torch.save({f"features.{name}": tensor for name, tensor in layers.state_dict().items()}, weights)
    features = load_perceptual_loss("vgg19", weights).features
    last: nn.Conv2d = features[-1]
    fourth_block = [
        module for module in features.modules() if isinstance(module, nn.Conv2d) and module.out_channels == 512
    ]
    assert (len(fourth_block), last) == (4, fourth_block[-1])
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(features(image), layers(image))


def test_weights_of_another_network_are_refused(mobilenet: Path, tmp_path: Path) -> None:
    state: dict[str, Tensor] = torch.load(mobilenet, weights_only=True)
    with pytest.raises(WeightsError, match=r"features.0.weight has shape None, expected \(64, 3, 3, 3\)"):
        load_perceptual_loss("vgg19", mobilenet)
    state["features.1.block.0.0.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(WeightsError, match=r"1 of \d+ tensors differ"):
        load_perceptual_loss("mobilenet_v3", tmp_path / "wrong.pth")


def test_without_weights_and_network_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*arguments: object, **options: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(WeightsError) as caught:
        load_perceptual_loss("vgg19")
    text = str(caught.value)
    assert NETWORKS["vgg19"].url in text
    assert str(tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth") in text
    assert "{kind: vgg19, weights: vgg19-dcbb9e9d.pth}" in text


def test_downloaded_weights_are_kept_and_used(mobilenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(url: str, path: str, hash_prefix: str) -> None:
        asked.append((url, hash_prefix))
        Path(path).write_bytes(mobilenet.read_bytes())

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        load_perceptual_loss("mobilenet_v3")
    assert asked == [(NETWORKS["mobilenet_v3"].url, "8738ca79")]


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_table_names_what_torchvision_publishes(kind: str) -> None:
    from torchvision import models

    network = NETWORKS[kind]
    assert network.url == models.get_model_weights(network.builder)["IMAGENET1K_V1"].url
