"""A stage in a chain is trained on the images that the chain gives it; the stages around it are not trained."""

import csv
from pathlib import Path
from statistics import fmean

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig, load_chain_config
from pipeline.engine.engine import Engine
from pipeline.errors import ConfigError
from stages.registry import STAGES, load_stage
from stages.weights import Card, read_card, save_weights
from train.chain import route
from train.chain.inside import Behind, Inside
from train.config import TrainingConfig
from train.data.batches import TrainingBatches, ValidationImages
from train.data.layouts import Files, find_files
from train.data.split import split
from train.fit import fit
from train.run import Run
from train.task import capped_psnr
from train.training import Training

CPU = torch.device("cpu")
resolve = Training.resolve

# What oversharpening does to noise is unknown to a denoiser trained alone.
CHAIN = """
stages:
  - {stage: dncnn, weights: first.safetensors, strength: 0.5}
  - {stage: unsharp_mask, sigma: 1.0, amount: 3.0}
  - {stage: dncnn, weights: not_yet.safetensors}
  - {stage: edsr, weights: last.safetensors}
"""


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    first = {"stage": "dncnn", "depth": 3, "width": 4}
    last = {"stage": "edsr", "scale": 2, "width": 4, "depth": 1, "bicubic_skip": True}
    for name, options in (("first", first), ("last", last)):
        save_weights(tmp_path / f"{name}.safetensors", config_of(options).build(), Card(config=options))
    (tmp_path / "chain.yaml").write_text(CHAIN)
    return tmp_path / "chain.yaml"


def config_of(options: dict) -> object:
    return STAGES[options["stage"]].model_validate(options)


def in_chain(config: TrainingConfig, chain: Path, loss_on: str = "stage", **changes: object) -> TrainingConfig:
    place = {"file": chain, "stage": "dncnn_2", "loss_on": loss_on}
    return TrainingConfig.model_validate(config.model_dump() | {"chain": place} | changes)


def compared_at_the_end(config: TrainingConfig, chain: Path) -> TrainingConfig:
    degradation = [{"kind": "downscale", "factor": 2}, {"kind": "gaussian_noise", "sigma": [25.0, 25.0]}]
    return in_chain(config, chain, "chain", degradation=degradation)


def curve(folder: Path) -> list[float]:
    rows = [row for log in sorted(folder.glob("log/*/metrics.csv")) for row in csv.DictReader(log.open())]
    return [float(row["val/psnr"]) for row in rows if row.get("val/psnr")]


def test_input_and_result_of_the_stage_are_those_of_the_chain(config: TrainingConfig, chain: Path) -> None:
    config = compared_at_the_end(config, chain)
    inside, stage = Inside(resolve(config).route, CPU), config.stage.build().eval()
    save_weights(chain.parent / "not_yet.safetensors", stage, Card(config=config.stage.model_dump()))
    image = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        restored = inside.after(stage(inside.before(image))).clamp(0, 1)
    whole = Engine(Chain.build(load_chain_config(chain)), device="cpu").run(image[0].permute(1, 2, 0).numpy()).pixels
    torch.testing.assert_close(restored[0].permute(1, 2, 0).numpy(), whole, atol=1e-5, rtol=0)


def test_borders_of_a_crop_are_those_of_the_image(config: TrainingConfig, chain: Path) -> None:
    route = resolve(in_chain(config, chain)).route
    inside, image = Inside(route, CPU), torch.rand(1, 3, 48, 48)
    part = slice(16 - route.margin, 32 + route.margin)
    crop = image[..., part, part]
    reached, clean = Behind([(crop, crop)], inside, route.margin)[0]  # type: ignore[arg-type]
    torch.testing.assert_close(reached, inside.before(image)[..., 16:32, 16:32], atol=1e-5, rtol=0)
    assert torch.equal(clean, image[..., 16:32, 16:32])


@pytest.mark.parametrize("ranks", [1, 2])
def test_batches_keep_their_size_and_their_numbers(
    config: TrainingConfig, chain: Path, sharp_folder: Path, pair_folder: Path, ranks: int
) -> None:
    config = in_chain(config, chain)
    inside, files = Inside(resolve(config).route, CPU), find_files([sharp_folder, pair_folder])
    batches = Behind(
        TrainingBatches(resolve(config).widened(), files, CPU, 0, ranks), inside, resolve(config).route.margin
    )
    degraded, clean = batches[3]
    assert degraded.shape == clean.shape == (4, 3, 16, 16)
    assert torch.equal(degraded, batches[3][0])


def test_a_share_of_the_images_goes_through(config: TrainingConfig, chain: Path) -> None:
    route = resolve(in_chain(config, chain)).route
    inside, images = Inside(route, CPU), torch.rand(40, 3, 8, 8)
    whole, _ = Behind([(images, images)], inside, 0, share=0.25)[0]  # type: ignore[arg-type]
    changed = (whole != images).flatten(1).any(dim=1)
    assert 3 <= changed.sum() <= 17
    torch.testing.assert_close(whole[changed], inside.before(images[changed]))
    halves = [(images[rank::2], images[rank::2]) for rank in (0, 1)]
    for rank, half in enumerate(halves):
        mine, _ = Behind([half], inside, 0, share=0.25, rank=rank, ranks=2)[0]  # type: ignore[arg-type]
        torch.testing.assert_close(mine, whole[rank::2])
    none, _ = Behind([(images[:1], images[:1])], inside, 0, share=1e-9)[0]  # type: ignore[arg-type]
    assert torch.equal(none, images[:1])


def test_behind_stages_that_upscale_all_images_must_go_through(config: TrainingConfig, chain: Path) -> None:
    chain.write_text("stages:\n  - {stage: edsr, weights: last.safetensors}\n  - {stage: dncnn}\n")
    changes = {"chain": {"file": chain, "share": 0.5}, "degradation": [{"kind": "downscale", "factor": 2}]}
    with pytest.raises(ConfigError, match=r"chain\.share: must be 1"):
        resolve(TrainingConfig.model_validate(config.model_dump() | changes))


def test_behind_a_larger_image_crops_grow(config: TrainingConfig, chain: Path, sharp_folder: Path) -> None:
    text = "stages:\n  - {stage: edsr, weights: last.safetensors}\n  - {stage: dncnn}\n"
    chain.write_text(text)
    degradation = [{"kind": "downscale", "factor": 2}]
    config = TrainingConfig.model_validate(config.model_dump() | {"chain": {"file": chain}, "degradation": degradation})
    wide = TrainingBatches(resolve(config).widened(), find_files([sharp_folder]), CPU)
    degraded, clean = Behind(wide, Inside(resolve(config).route, CPU), resolve(config).route.margin)[0]
    assert degraded.shape == clean.shape == (4, 3, 16, 16)
    assert F.mse_loss(degraded, clean) < 0.01  # the same place of the image


def test_gradients_come_through_frozen_stages(config: TrainingConfig, chain: Path) -> None:
    config = compared_at_the_end(config, chain)
    inside, stage = Inside(resolve(config).route, CPU), config.stage.build()
    inside.after(stage(inside.before(torch.rand(1, 3, 8, 8)))).sum().backward()
    assert any(parameter.grad.any() for parameter in stage.parameters())
    around = [inside.chain.stages[index] for index in (0, 1, 3)]
    assert not any(parameter.requires_grad for other in around for parameter in other.parameters())


def test_trained_behind_a_stage_it_is_better_behind_it(
    config: TrainingConfig, chain: Path, sharp_folder: Path, tmp_path: Path
) -> None:
    behind = in_chain(config, chain)
    train, validation = split(find_files([sharp_folder]), 3)
    alone = learn(config, (train, validation), tmp_path / "alone", 4)
    inside = learn(behind, (train, validation), tmp_path / "inside", 4)
    surroundings = Inside(resolve(behind).route, CPU)
    images = ValidationImages(behind, validation, 1).samples

    def psnr(stage: nn.Module) -> float:
        values = [capped_psnr(stage(surroundings.before(noisy)).clamp(0, 1), clean) for noisy, clean in images]
        return fmean(values)

    with torch.no_grad():
        assert psnr(load_stage(inside)) > psnr(load_stage(alone)) + 1
        assert psnr(load_stage(inside)) == pytest.approx(max(curve(tmp_path / "inside")), abs=0.01)
    assert read_card(inside).trained_for == "noise of sigma 25; behind dncnn (first), unsharp_mask"


def learn(config: TrainingConfig, files: tuple[Files, Files], folder: Path, epochs: int, **options: object) -> Path:
    return fit(resolve(config), *files, Run(folder, device="cpu", max_epochs=epochs, **options), "test photos")


def test_in_a_chain_runs_resume_and_checkpoints_hold_the_one_stage(
    config: TrainingConfig, chain: Path, sharp_folder: Path, tmp_path: Path
) -> None:
    config, files = compared_at_the_end(config, chain), split(find_files([sharp_folder]), 3)
    learn(config, files, tmp_path / "whole", 3)
    learn(config, files, tmp_path / "halves", 1)
    learn(config, files, tmp_path / "halves", 3, resume=True)
    assert len(curve(tmp_path / "whole")) == 3
    assert curve(tmp_path / "halves") == curve(tmp_path / "whole")
    checkpoint = torch.load(tmp_path / "whole" / "checkpoints" / "last.ckpt", weights_only=False)
    assert checkpoint["state_dict"].keys() == {f"stage.{name}" for name in config.stage.build().state_dict()}


def test_a_run_reads_its_chain_once(
    config: TrainingConfig, chain: Path, sharp_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counted(*names: object, **options: object) -> ChainConfig:
        read.append(names)
        return load_chain_config(*names, **options)

    monkeypatch.setattr(route, "load_chain_config", counted)
    learn(in_chain(config, chain, steps_per_epoch=1), split(find_files([sharp_folder]), 3), tmp_path / "run", 1)
    assert len(read) == 1
