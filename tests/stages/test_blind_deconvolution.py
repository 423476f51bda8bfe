from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from skimage import data
from torch import Tensor

from stages import blind_deconvolution
from stages.blind_deconvolution import BlindDeconvolutionConfig, disc_kernel, motion_kernel
from stages.deconvolution.kernels import aligned
from stages.deconvolution.search import Search
from stages.findings import BlurFinding, collected_findings
from stages.kernel_files import encode_kernel
from train.degradation import functions


def photo(side: int = 112) -> Tensor:
    pixels = data.astronaut()[:side, 150 : 150 + side]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def shaken(length: float = 9.0, seed: int = 1, *, linear: bool = False) -> tuple[Tensor, Tensor]:
    """A photo blurred by a shake of this many pixels, as an 8-bit file, and the kernel."""
    kernel = functions.shake_kernels(torch.tensor([length]), 21, torch.Generator().manual_seed(seed))
    if linear:
        light = functions.blur(functions.to_linear_light(photo()), kernel)
        return functions.quantise(functions.from_linear_light(light)), kernel[0]
    return functions.quantise(functions.blur(photo(), kernel)), kernel[0]


@cache
def restored_shake() -> tuple[Tensor, BlurFinding]:
    return restore(shaken()[0], max_kernel=15)


def restore(image: Tensor, **options: object) -> tuple[Tensor, BlurFinding]:
    stage = BlindDeconvolutionConfig(**options).build().eval()  # type: ignore[arg-type]
    with collected_findings() as found:
        result = stage(image)
    return result, found[0]


def psnr(image: Tensor, reference: Tensor) -> float:
    return -10 * torch.log10((image.clamp(0, 1) - reference).square().mean()).item()


def similarity(found: Tensor | None, kernel: Tensor) -> float:
    assert found is not None
    side = max(len(found), len(kernel))
    padded = [torch.nn.functional.pad(one, ((side - len(one)) // 2,) * 4) for one in (found, kernel)]
    return aligned(padded[0], padded[1])[1]


def test_a_shake_is_found_and_undone() -> None:
    image, kernel = shaken()
    result, finding = restored_shake()
    assert similarity(finding.kernel, kernel) >= 0.8
    assert psnr(result[..., 12:-12, 12:-12], photo()[..., 12:-12, 12:-12]) >= psnr(image, photo()) + 2


@pytest.mark.parametrize("image", [photo(), data.camera(), data.text()], ids=["colour", "gray", "text"])
def test_a_sharp_photo_comes_back_untouched(image: Tensor | np.ndarray) -> None:
    if isinstance(image, np.ndarray):
        image = torch.from_numpy(image[:128, :128]).float().expand(1, 3, -1, -1) / 255
    result, finding = restore(image)
    assert torch.equal(result, image)
    assert finding.kernel is None
    assert "no shake" in finding.text


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)), "no shake"),
        (torch.full((1, 3, 96, 96), 0.4), "no shake"),
        (torch.ones(1, 3, 96, 96), "no shake"),
        (torch.linspace(0, 1, 96).expand(1, 3, 96, 96), "no edges"),
        (torch.rand(1, 3, 1, 1), "too small"),
        (torch.rand(1, 3, 2, 300), "too small"),
    ],
    ids=["noise", "flat", "saturated", "ramp", "pixel", "line"],
)
def test_an_image_without_a_visible_blur_comes_back_untouched(image: Tensor, text: str) -> None:
    result, finding = restore(image)
    assert torch.equal(result, image)
    assert text in finding.text


def test_a_kernel_that_its_parts_do_not_support_is_undone_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    image, kernel = shaken()
    found = Search(kernel, False, "a shake", 3.0, by_place=kernel[None, None])
    monkeypatch.setattr(blind_deconvolution, "find_blur", lambda *_: found)
    wholly, _ = restore(image)
    monkeypatch.setattr(blind_deconvolution, "find_blur", lambda *_: replace(found, strength=0.25))
    partly, _ = restore(image)
    torch.testing.assert_close(partly - image, 0.25 * (wholly - image))


def test_each_image_of_a_batch_gives_the_bytes_that_it_gives_alone() -> None:
    batch = torch.cat([photo(), shaken()[0]])
    result, _ = restore(batch, max_kernel=15)
    assert torch.equal(result[0], batch[0])
    assert torch.equal(result[1:], restored_shake()[0])


@pytest.mark.parametrize("linear", [True, False])
def test_a_given_kernel_is_undone_in_the_light_that_it_blurred(linear: bool, tmp_path: Path) -> None:
    image, kernel = shaken(11.0, seed=0, linear=linear)
    (tmp_path / "kernel.png").write_bytes(encode_kernel(kernel))
    gains = {
        light: psnr(restore(image, kernel=tmp_path / "kernel.png", light=light)[0], photo()) - psnr(image, photo())
        for light in ("linear", "encoded", "auto")
    }
    assert gains["auto"] == gains["linear" if linear else "encoded"]
    assert gains["auto"] > gains["encoded" if linear else "linear"]
    assert gains["auto"] >= 4


def test_a_kernel_that_was_found_gives_the_same_photo_as_a_file(tmp_path: Path) -> None:
    image, _ = shaken()
    found, finding = restored_shake()
    assert finding.kernel is not None
    (tmp_path / "kernel.png").write_bytes(encode_kernel(finding.kernel))
    given, _ = restore(image, kernel=tmp_path / "kernel.png")
    torch.testing.assert_close(given, found, atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("options", "kernel"),
    [
        ({"gaussian": 1.5}, cv2.getGaussianKernel(11, 1.5) * cv2.getGaussianKernel(11, 1.5).T),
        ({"disc": 3.0}, functions.defocus_kernels(torch.tensor([3.0]), 9)[0].numpy()),
        ({"motion": 9.0}, np.full((1, 9), 1 / 9)),
        ({"motion": 9.0, "angle": 90.0}, np.full((9, 1), 1 / 9)),
    ],
    ids=["gaussian", "disc", "motion", "vertical"],
)
def test_common_kernels_are_given_by_parameters(options: dict[str, float], kernel: np.ndarray) -> None:
    pixels = cv2.filter2D(photo()[0].permute(1, 2, 0).numpy(), -1, kernel, borderType=cv2.BORDER_REPLICATE)
    image = functions.quantise(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    result, finding = restore(image, light="encoded", **options)
    assert finding.text == "given"
    assert psnr(result, photo()) >= psnr(image, photo()) + 2


def test_motion_turns_counterclockwise() -> None:
    kernel = motion_kernel(9, 45)
    middle = len(kernel) // 2
    assert kernel[:middle, middle + 1 :].sum() > 0.3
    assert kernel[:middle, :middle].sum() == 0


def test_kernels_by_parameters_have_sum_one() -> None:
    for kernel in (disc_kernel(2.3), disc_kernel(0.2), motion_kernel(12.5, 30), motion_kernel(0.5, 0)):
        assert kernel.sum() == pytest.approx(1)
        assert kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1


def test_clipped_highlights_do_not_ring() -> None:
    """Around a lamp far brighter than white, no place gets worse than it was; away from it the photo gets better."""
    light = functions.to_linear_light(photo() * 0.6)
    light[..., 60:66, 60:66] = 6.0
    kernel = motion_kernel(11, 0)
    blurred = functions.from_linear_light(functions.blur(light, kernel[None]).clamp(0, 1))
    image = functions.quantise(blurred)
    result, _ = restore(image, motion=11.0, light="linear")
    clean = functions.from_linear_light(light).clamp(0, 1)
    before, after = ((one - clean).abs().mean(dim=1)[0] for one in (image, result))
    around = (slice(50, 76), slice(46, 80))
    assert after[around].mean() <= before[around].mean() * 1.05
    assert after[90:].mean() < 0.7 * before[90:].mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"disc": 2.0, "gaussian": 1.0}, "got gaussian and disc, expected one of them"),
        ({"angle": 20.0}, "got angle, expected motion with it"),
        ({"max_kernel": 50}, "max_kernel: got 50, expected an odd number"),
        ({"light": "bright"}, "'auto', 'linear' or 'encoded'"),
    ],
)
def test_contradicting_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BlindDeconvolutionConfig(**options)  # type: ignore[arg-type]
