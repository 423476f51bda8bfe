import shutil
from pathlib import Path

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from stages.dncnn import DnCNNConfig
from stages.weights import Card, save_weights
from train.evaluation.evaluate import as_markdown
from train.evaluation.protocols import denoising, harmlessness, stages_of_one_size
from train.evaluation.restorers import chain_restorer


def test_clean_photos_are_compared_with_themselves(sharp_folder: Path, tmp_path: Path) -> None:
    sharp_folder.rename(tmp_path / "Set14")
    (tmp_path / "CBSD68").symlink_to(tmp_path / "Set14")
    untrained = {"stage": "unet", "width": 4, "levels": 2, "residual": True}  # starts as the identity
    config = ChainConfig.model_validate({"stages": [untrained, {"stage": "unsharp_mask", "amount": 9.0}]})
    cleaning = stages_of_one_size(Chain.build(config))
    assert cleaning is not None
    assert cleaning.names == ("unet",)
    results = list(harmlessness(tmp_path, "chain.yaml", chain_restorer(cleaning)))
    assert [result.protocol for result in results] == [
        "CBSD68 + Set14, clean, PSNR RGB",
        "Set14 of half size, clean, PSNR RGB",
    ]
    assert {(result.weights, result.nothing, result.restored) for result in results} == {("chain", None, 100.0)}
    assert "| unchanged | 100.00 |" in as_markdown(results)


def test_denoisers_meet_gray_noise_and_a_camera(sharp_folder: Path, tmp_path: Path) -> None:
    for name in ("Set14", "CBSD68", "real_noise/polyu_512/noisy", "real_noise/polyu_512/clean"):
        shutil.copytree(sharp_folder, tmp_path / name)
    stage = DnCNNConfig(depth=3, width=4, batch_norm=False)
    card = Card(config={"stage": "dncnn", **stage.architecture()})
    save_weights(tmp_path / "tiny.safetensors", stage.build(), card)
    names = [result.protocol for result in denoising(tmp_path, str(tmp_path / "tiny.safetensors"))]
    assert "CBSD68 as gray, noise sigma 11, PSNR RGB" in names
    assert "PolyU, camera noise, PSNR RGB" in names
