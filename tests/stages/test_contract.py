"""What every stage promises, held over all of them."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.backends.half import with_half_weights
from pipeline.device.computing import computing
from pipeline.tiling import Footprint, needed_regions, split
from stages.registry import STAGES, config_from, load_stage
from stages.stage import LearnedStageConfig, Stage, StageConfig
from stages.weights import Card, read_card, save_weights

# Small networks by name: a stage's tag, and what is special about this one of its kind.
SMALL_OPTIONS: dict[str, dict[str, Any]] = {
    "dncnn": {"depth": 4, "width": 6},
    "dncnn-gray": {"depth": 4, "width": 6, "channels": 1, "batch_norm": False},
    "dncnn-half-skips": {"depth": 6, "width": 6, "unshuffle": 2, "skips": True, "batch_norm": False},
    "dncnn-level": {"depth": 4, "width": 6, "unshuffle": 2, "noise_level_input": True, "noise_level": 12.0},
    "dncnn-gray-level": {
        "depth": 4,
        "width": 6,
        "channels": 1,
        "predicts": "clean",
        "noise_level_input": True,
        "noise_level": 5,
    },
    "edsr-x2": {"depth": 2, "width": 6},
    "edsr-x3": {"depth": 1, "width": 6, "scale": 3},
    "edsr-x4": {"depth": 1, "width": 6, "scale": 4, "res_scale": 0.1},
    "edsr-direct": {"depth": 1, "width": 6, "upsampler": "direct", "bicubic_skip": True},
    "nafnet": {"width": 4, "encoder_blocks": [1, 1], "decoder_blocks": [1, 1]},
    "nafnet-local": {"width": 4, "encoder_blocks": [1, 1], "decoder_blocks": [1, 1], "local_size": 12},
    "uformer": {"width": 4, "depths": [1, 2, 2], "window": 4},
    "uformer-plain": {"width": 4, "depths": [2, 2, 1], "window": 2, "modulator": False, "middle_shift": False},
    "unet": {"width": 4, "levels": 3},
    "unet-two-scales": {"width": 2, "levels": 2, "coarse_width": 3},
    "unet-half-residual": {"width": 4, "levels": 2, "unshuffle": 2, "residual": True},
    "smfanet-x2": {"width": 6, "depth": 2},
    "smfanet": {"width": 4, "depth": 1, "scale": 3, "expansion": 3},
    "spandrel": {"weights": Path(__file__).parent / "data" / "compact_x2.safetensors"},
    "bicubic": {"scale": 3},
    "lanczos": {"scale": 2},
    "nlm": {"patch": 3, "search": 7},
    "richardson_lucy": {"sigma": 0.6, "iterations": 3},
    "clahe": {"grid": 2},
    "blind_deconvolution": {},
    "blind_deconvolution-given": {"disc": 1.5, "light": "linear"},
    "concat_unet-reduced-se": {"width": 2, "reduced_channels": True, "squeeze_excitation": True},
    "concat_unet": {"width": 1},
    "residual_unet": {"width": 4, "levels": 3, "dropout": 0.5},
    "residual_unet-deep": {"width": 4, "levels": 2, "blocks": 2},
    "encoder_unet": {"encoder": "efficientnet-b4", "width": 1},
    "deblurnet": {"width": 2},
    "temporal_denoise": {"radius": 1},
    "temporal_fusion": {"radius": 1},
    "unsharp_mask": {"sigma": 1.2, "amount": 0.7},
    "unsharp_mask-threshold": {"sigma": 1.2, "amount": 0.7, "threshold": 3.0},
}
# Each output pixel depends on the whole image; building the networks to find that out takes a second.
WITHOUT_HALO = {
    "blind_deconvolution",
    "blind_deconvolution-given",
    "clahe",
    "concat_unet-reduced-se",
    "encoder_unet",
    "nafnet",
    "smfanet-x2",
    "smfanet",
    "smfanet-imagenet",
    "temporal_denoise",
    "temporal_fusion",
}
# DeblurNet's sigmoid and the ImageNet encoder's own normalization leave no room for another.
WITHOUT_NORMALIZE = {"deblurnet", "encoder_unet"}


def small_configs() -> dict[str, StageConfig]:
    """Return every small network, and the last of each learned stage with ImageNet's normalization, too."""
    configs: dict[str, StageConfig] = {}
    for name, options in SMALL_OPTIONS.items():
        tag = name.partition("-")[0]
        configs[name] = STAGES[tag](**options)
        if tag in WITHOUT_NORMALIZE or options.get("noise_level_input"):
            continue
        if issubclass(STAGES[tag], LearnedStageConfig):
            configs[f"{tag}-imagenet"] = STAGES[tag](**options, normalize="imagenet")
    return configs


SMALL_CONFIGS = small_configs()


# Normalization looks at single pixels, so two small networks show that it leaves the halo as it is.
LARGE_NORMALIZED = {name for name in SMALL_CONFIGS if name.endswith("-imagenet")} - {"dncnn-imagenet", "edsr-imagenet"}
with_halo = pytest.mark.parametrize(
    "name", [name for name in SMALL_CONFIGS if name not in WITHOUT_HALO | LARGE_NORMALIZED]
)
without_halo = pytest.mark.parametrize("name", [name for name in SMALL_CONFIGS if name in WITHOUT_HALO])


@pytest.fixture(params=SMALL_CONFIGS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def config(name: str) -> StageConfig:
    return SMALL_CONFIGS[name]


@pytest.fixture
def stage(name: str) -> Stage:
    """The stage in eval mode with weights, statistics of batch norm included, that nothing can hide behind."""
    return deepcopy(random_stage(name))


@cache
def random_stage(name: str) -> Stage:
    torch.default_generator.manual_seed(0)
    stage = SMALL_CONFIGS[name].build().eval()
    for module in stage.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    for parameter in stage.parameters():
        nn.init.normal_(parameter, std=0.1)
    for module in stage.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 1, 2)
    return stage


def side_of(stage: Stage) -> int:
    """A size that holds the halo, where there is one, on both sides of a grid cell."""
    return (2 * (stage.halo or 0) // stage.multiple_of + 3) * stage.multiple_of


def random_input(stage: Stage, height: int, width: int, count: int = 1) -> Tensor:
    """Images, or windows of a video's frames, as the stage takes them."""
    return torch.rand(count, *stage.input_shape(height, width)[1:])


def skip_without_gradient(stage: Stage) -> None:
    side = 4 * stage.multiple_of
    if not stage(random_input(stage, side, side).requires_grad_()).requires_grad:
        pytest.skip("works on integers, where neither gradients nor NaN travel; its own tests move pixels")


def test_every_stage_of_the_table_is_tested_here() -> None:
    assert {config.stage for config in SMALL_CONFIGS.values()} == set(STAGES)


@torch.inference_mode()
def test_output_is_scale_times_larger(stage: Stage) -> None:
    height, width = 3 * stage.multiple_of, 5 * stage.multiple_of
    result = stage(random_input(stage, height, width, 2))
    assert result.shape == (2, 3, stage.scale * height, stage.scale * width)


@torch.inference_mode()
def test_weights_of_half_precision_change_nothing(stage: Stage) -> None:
    image = random_input(stage, 4 * stage.multiple_of, 4 * stage.multiple_of)
    halved = with_half_weights(stage, torch.bfloat16)
    for precision in ("fp32", "bf16"):
        with computing(torch.device("cpu"), precision):
            assert torch.equal(halved(image), stage(image))


@torch.inference_mode()
def test_batch_equals_single_images(stage: Stage) -> None:
    images = random_input(stage, side_of(stage), side_of(stage), 3)
    together = stage(images)
    for index in range(3):
        torch.testing.assert_close(together[index], stage(images[index : index + 1])[0], atol=1e-5, rtol=1e-4)


@with_halo
def test_halo_covers_the_gradient(stage: Stage) -> None:
    """Nothing beyond the halo moves an output pixel, in the middle and at the ends of its grid cell and the image."""
    skip_without_gradient(stage)
    assert reach_of_gradient(stage) <= stage.halo


@with_halo
def test_halo_is_no_larger_than_what_the_architecture_reaches(stage: Stage) -> None:
    """A NaN travels along every path, so its spread is the reach of the architecture itself, from any place."""
    skip_without_gradient(stage)
    assert reach_of_nan(stage) == stage.halo


@without_halo
def test_without_a_halo_a_pixel_reaches_the_whole_image(stage: Stage) -> None:
    skip_without_gradient(stage)
    image = torch.rand(1, 3, 4 * stage.multiple_of, 4 * stage.multiple_of)
    image[..., 0, 0] = torch.nan
    assert stage(image).isnan().any(dim=1).all()


@with_halo
@torch.inference_mode()
def test_tiles_equal_the_whole(stage: Stage) -> None:
    """In double precision, where the least that is missing shows."""
    side = side_of(stage)
    image = torch.rand(1, 3, side, side, dtype=torch.float64)
    whole = stage.double()(image)
    footprint = Footprint(stage.scale, stage.multiple_of, stage.halo)
    for tile in split(side, side, side // 2):
        needed, _ = needed_regions(tile, [footprint], side, side)
        made = stage(image[..., *needed.slices])[..., *tile.scaled(stage.scale).within(needed.scaled(stage.scale))]
        torch.testing.assert_close(made, whole[..., *tile.scaled(stage.scale).slices], atol=1e-12, rtol=0)


def reach_of_gradient(stage: Stage) -> int:
    """How far the gradient of an output pixel spreads, at either end of a grid cell and of the image."""
    side = side_of(stage)
    middle = side // 2 // stage.multiple_of * stage.multiple_of
    reach = 0
    last = stage.multiple_of - 1
    for pixel in sorted({0, middle, middle + last // 2, middle + last, side - 1}):
        image = torch.rand(1, 3, side, side, requires_grad=True)
        row = slice(pixel * stage.scale, (pixel + 1) * stage.scale)
        stage(image)[..., row, row].sum().backward()
        reach = max(reach, spread(image.grad.abs().sum(dim=(0, 1)) > 0, pixel))
    return reach


@torch.inference_mode()
def reach_of_nan(stage: Stage) -> int:
    """How far a NaN spreads that lies where it just reaches the image's border."""
    side = side_of(stage)
    reach = 0
    for pixel in range(stage.halo, stage.halo + stage.multiple_of):
        image = torch.rand(1, 3, side, side)
        image[..., pixel, pixel] = torch.nan
        moved = stage(image).isnan().any(dim=1)[0]
        cells = moved.view(side, stage.scale, side, stage.scale).any(dim=3).any(dim=1)
        reach = max(reach, spread(cells, pixel))
    return reach


def spread(mask: Tensor, pixel: int) -> int:
    """How far, in rows or columns, anything set lies from a pixel on the diagonal."""
    return int((mask.nonzero() - pixel).abs().max())


@torch.inference_mode()
def test_bf16_stays_close_to_fp32(stage: Stage) -> None:
    image = random_input(stage, side_of(stage), side_of(stage))
    exact = stage(image)
    with torch.autocast("cpu", torch.bfloat16):
        rough = stage(image).float()
    assert (rough - exact).abs().max() <= 0.03 * max(1.0, exact.abs().max().item())


@torch.inference_mode()
def test_fusing_changes_nothing(stage: Stage) -> None:
    image = random_input(stage, side_of(stage), side_of(stage))
    before = stage(image)
    fused = stage.fuse()
    torch.testing.assert_close(fused(image), before, atol=1e-5, rtol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())


@torch.inference_mode()
def test_weights_file_gives_the_stage_back(stage: Stage, config: StageConfig, tmp_path: Path) -> None:
    if config.files():
        pytest.skip("its weights are a file of another project")
    card = Card(config={"stage": config.stage, **config.architecture()})
    save_weights(tmp_path / "w.safetensors", stage, card)
    assert config_from(read_card(tmp_path / "w.safetensors")) == config.model_copy(update={"strength": 1.0})
    image = random_input(stage, side_of(stage), side_of(stage))
    loaded = load_stage(tmp_path / "w.safetensors")
    torch.testing.assert_close(loaded(image), stage(image), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("tag", sorted(WITHOUT_NORMALIZE))
def test_a_stage_that_cannot_be_normalized_refuses_it(tag: str) -> None:
    with pytest.raises(ValueError, match="normalize"):
        STAGES[tag](normalize="imagenet")


def test_config_is_frozen_and_knows_no_other_keys(config: StageConfig) -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.strength = 0.5
    with pytest.raises(ValueError, match="Extra inputs"):
        type(config)(amonut=1)
