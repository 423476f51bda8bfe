import csv
from copy import deepcopy
from pathlib import Path
from typing import get_args

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger
from pydantic import TypeAdapter, ValidationError
from torch.utils.data import DataLoader, TensorDataset

from pipeline.chain.yaml_validation import read_yaml
from pipeline.errors import ConfigError
from train.chain.inside import Inside
from train.config import TrainingConfig
from train.losses.functions import LOSSES
from train.losses.objective import FormulaTerm, Objective, PerceptualTerm, Terms
from train.losses.perceptual import NETWORKS
from train.task import RestorationTask
from train.training import Training

CONFIG = """
stage: {stage: dncnn, depth: 4, width: 8}
trained_for: noise
degradation:
  - {kind: gaussian_noise, sigma: [25.0, 25.0]}
loss: """


def read(tmp_path: Path, loss: str) -> TrainingConfig:
    (tmp_path / "training.yaml").write_text(CONFIG + loss)
    return read_yaml(tmp_path / "training.yaml", TrainingConfig)


def terms(loss: object) -> list[FormulaTerm | PerceptualTerm]:
    return TypeAdapter(Terms).validate_python(loss)


def test_every_loss_of_the_tables_can_be_named_in_a_yaml() -> None:
    assert list(get_args(FormulaTerm.model_fields["kind"].annotation)) == sorted(LOSSES)
    assert list(get_args(PerceptualTerm.model_fields["kind"].annotation)) == sorted(NETWORKS)


def test_short_forms_are_written_out() -> None:
    assert terms("ssim") == terms({"kind": "ssim"}) == terms([{"kind": "ssim", "weight": 1.0}])
    assert [(term.kind, term.weight) for term in terms(["l1", {"kind": "fft", "weight": 0.1}])] == [
        ("l1", 1.0),
        ("fft", 0.1),
    ]


def test_weights_are_found_beside_the_yaml(mobilenet: Path, tmp_path: Path) -> None:
    config = read(tmp_path, f"[l1, {{kind: mobilenet_v3, weight: 0.01, weights: {mobilenet.name}}}]")
    assert config.loss[1] == PerceptualTerm(kind="mobilenet_v3", weight=0.01, weights=mobilenet)
    assert TrainingConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("loss", "problem"),
    [
        ("l2", ":6: loss: unknown kind 'l2'. Valid kinds: charbonnier, fft, l1, "),
        ("[l1, vgg]", ":6: loss.1: unknown kind 'vgg'; did you mean 'vgg19'?"),
        ("\n  - l1\n  - {kind: fft, wieght: 0.1}", ":8: loss.1.wieght: unknown key; did you mean 'weight'?"),
        ("{kind: l1, weights: x.pth}", ":6: loss.weights: unknown key; did you mean 'weight'?"),
        ("{kind: l1, weight: 0}", ":6: loss.weight: got 0, expected more than 0"),
        ("[l1, ssim, l1]", ":6: loss: l1 given twice; keep one"),
        ("[]", ":6: loss: got 0 items, expected at least 1"),
        ("5", ":6: loss: got 5, expected a list"),
        ("{kind: vgg19, weights: none.pth}", ":6: loss.weights: no such file: "),
    ],
)
def test_errors_are_reported_with_their_line(tmp_path: Path, loss: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, loss)
    assert f"training.yaml{problem}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_term_cannot_lower_the_sum_by_rising() -> None:
    with pytest.raises(ValidationError):
        terms({"kind": "l1", "weight": -1.0})


def test_the_objective_is_the_weighted_sum_of_its_terms() -> None:
    restored, clean = torch.rand(2, 1, 3, 16, 16)
    total, values = Objective(terms(["l1", {"kind": "ssim", "weight": 0.5}]))(restored, clean)
    assert values.keys() == {"l1", "ssim"}
    torch.testing.assert_close(values["ssim"], LOSSES["ssim"](restored, clean))
    torch.testing.assert_close(total, values["l1"] + 0.5 * values["ssim"])


@pytest.mark.parametrize("kind", [*LOSSES, "mobilenet_v3"])
def test_half_precision_training_compares_in_float32(kind: str, mobilenet: Path) -> None:
    term = {"kind": kind, "weights": mobilenet} if kind in NETWORKS else kind
    objective = Objective(terms(term))
    restored, clean = torch.rand(1, 3, 32, 32).bfloat16(), torch.rand(1, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = objective(restored, clean)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, objective(restored.float(), clean)[0])


def test_training_logs_every_term_and_keeps_feature_networks_to_itself(
    config: TrainingConfig, mobilenet: Path, tmp_path: Path
) -> None:
    loss = ["charbonnier", {"kind": "mobilenet_v3", "weight": 0.01, "weights": mobilenet}]
    config = TrainingConfig.model_validate(config.model_dump() | {"loss": loss})
    task = RestorationTask(config, config.stage.build(), Inside(Training.resolve(config).route, torch.device("cpu")))
    trainer = L.Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        precision="bf16-mixed",
        max_steps=2,
        log_every_n_steps=1,
        callbacks=[EMAWeightAveraging()],
        logger=CSVLogger(tmp_path),
        enable_progress_bar=False,
    )
    pairs = TensorDataset(*torch.rand(2, 4, 3, 16, 16))
    trainer.fit(task, DataLoader(pairs, batch_size=2))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    with next(tmp_path.glob("**/metrics.csv")).open() as log:
        logged = next(csv.DictReader(log))
    total = float(logged["train/charbonnier"]) + 0.01 * float(logged["train/mobilenet_v3"])
    assert float(logged["train/loss"]) == pytest.approx(total, rel=1e-4)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert all(name.startswith("stage.") for name in checkpoint["state_dict"] | checkpoint["current_model_state"])


def test_the_averaged_copy_shares_the_feature_networks(mobilenet: Path) -> None:
    objective = Objective(terms({"kind": "mobilenet_v3", "weights": mobilenet}))
    assert deepcopy(objective) is objective
