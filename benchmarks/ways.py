"""Ways of restoring a frame, ours and others', for benchmarks to compare."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch

from pipeline.backends.conversion import ConvertedStage, with_measures
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.device.process import keep_freed_memory
from pipeline.engine.engine import Engine
from stages.foreign import Spandrel
from stages.layers import bicubic_upscale
from stages.stage import LearnedStageConfig, Stage, StageConfig
from stages.weights import load_weights

Way = Callable[[np.ndarray], np.ndarray]
_CPU = torch.device("cpu")


def our_way(config: ChainConfig, device: str, precision: str, backend: str) -> Way:
    """Return the chain as ``run_pipeline.py`` runs it."""
    keep_freed_memory()
    engine = Engine(Chain.build(config), device=device, precision=precision, backend=backend)
    return lambda frame: engine.run(frame).pixels


def plain_way(config: ChainConfig, device: str) -> Way:
    """Return the chain as a plain script would run it."""
    target = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu"))
    return one_by_one(config, [build_plain(stage).to(target) for stage in config.stages], target)


def spandrel_way(config: ChainConfig) -> Way:
    """Return the chain with its networks as spandrel builds them from the same weights."""
    from spandrel import ModelLoader

    networks = [build_plain(stage).fuse() for stage in config.stages]
    descriptors = [ModelLoader().load_from_state_dict(network.state_dict()) for network in networks]
    return one_by_one(config, [Spandrel(descriptor, halo=None) for descriptor in descriptors])


def opencv_way(config: ChainConfig) -> Way:
    """Return the chain with its networks run by OpenCV, from ONNX files; the other stages stay in torch."""
    return one_by_one(config, [by_opencv(build_plain(stage).fuse()) for stage in config.stages])


def by_opencv(stage: Stage) -> Stage:
    """Return a stage whose network OpenCV runs; one without weights as it is."""
    if next(stage.parameters(), None) is None:
        return stage

    @cache  # OpenCV computes a graph that leaves the size open wrongly
    def network(shape: tuple[int, ...]) -> Any:
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter that needs no other package is called old
            file = Path(folder) / "network.onnx"
            torch.onnx.export(stage, (torch.zeros(shape),), file, dynamo=False)
            return cv2.dnn.readNetFromONNX(str(file))

    def run(images: np.ndarray) -> np.ndarray:
        given = with_measures(stage, torch.from_numpy(images)).numpy()  # quantiles cannot be exported
        network(given.shape).setInput(given)
        return network(given.shape).forward()

    return ConvertedStage(stage, run, "OpenCV")


def one_by_one(config: ChainConfig, stages: Sequence[Stage], device: torch.device = _CPU) -> Way:
    """Return what runs stage after stage, by way of the host."""

    def run(frame: np.ndarray) -> np.ndarray:
        image = frame.astype(np.float32) / 255
        for strength, stage in zip(Chain(config, stages).strengths, stages, strict=True):
            image = run_plain(stage, strength, image, device)
        return (image * 255).round().astype(np.uint8)

    return run


def bicubic_way(scale: int) -> Way:
    """Return bicubic upscaling."""
    return lambda frame: cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def classical_way(scale: int) -> Way:
    """Return the baseline without networks: non-local means, bicubic upscaling, unsharp mask."""
    upscale = bicubic_way(scale)

    def run(frame: np.ndarray) -> np.ndarray:
        upscaled = upscale(cv2.fastNlMeansDenoisingColored(frame, h=10, hColor=10))
        return cv2.addWeighted(upscaled, 1.2, cv2.GaussianBlur(upscaled, (0, 0), 1.0), -0.2, 0)

    return run


def fsrcnn_way(path: Path, scale: int) -> Way:
    """Return OpenCV's own super-resolution with FSRCNN: the network on luma, bicubic on colour."""
    network = cv2.dnn_superres.DnnSuperResImpl.create()  # type: ignore[attr-defined] # in opencv-contrib-python only
    network.readModel(str(path))
    network.setModel("fsrcnn", scale)
    return network.upsample


def build_plain(config: StageConfig) -> Stage:
    """Build one stage as it was trained: batch norm not folded."""
    stage = config.build().eval()
    if isinstance(config, LearnedStageConfig) and config.weights:
        load_weights(stage, Path(config.weights))
    return stage


def run_plain(stage: Stage, strength: float, image: np.ndarray, device: torch.device) -> np.ndarray:
    """Run one stage at its strength on ``(H, W, 3)`` floats, from the host and back to it."""
    height, width = image.shape[:2]
    fill = (0, -width % stage.multiple_of, 0, -height % stage.multiple_of)
    tensor = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0).contiguous().to(device)
    with torch.no_grad():
        result = stage(torch.nn.functional.pad(tensor, fill, mode="replicate"))
        result = result[..., : height * stage.scale, : width * stage.scale]
        if strength < 1:
            result = torch.lerp(bicubic_upscale(tensor, stage.scale), result, strength)
    return result[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy()
