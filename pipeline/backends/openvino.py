"""Stages run by OpenVINO: faster than torch on a CPU, several times so in 8-bit integers.

    stage -> fp32 model -> (int8 model) -> agrees with torch? -> ConvertedStage
                |               |                 | no
                '--- cache -----'                 '-> the stage itself, and a warning

Models are kept in the user's cache folder and compared with torch whenever they are loaded, so that a cache that
was made by other code, or was damaged, cannot change a picture.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino
import torch
from platformdirs import user_cache_path
from torch import Tensor

from pipeline.backends.model_cache import ConversionError, ModelCache
from pipeline.backends.photos import calibration_photos, comparison_photos
from pipeline.tiling import round_up
from stages.stage import Stage

if TYPE_CHECKING:
    from pipeline.chain import Chain

FP32_BOUND = 1e-3
INT8_BOUND = 50.0
_log = logging.getLogger(__name__)


class ConvertedStage(Stage):
    """A stage whose network is run by OpenVINO.

    Args:
        original: The stage in torch, which tells scale, halo and memory.
        model: The same, converted.
        label: ``openvino`` or ``openvino int8``.
    """

    def __init__(self, original: Stage, model: openvino.Model, label: str) -> None:
        super().__init__()
        self.scale, self.multiple_of, self.halo = original.scale, original.multiple_of, original.halo
        self.original = original
        self.label = label
        self._run = _compile(model)

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, as ``original`` would."""
        return torch.from_numpy(self._run(image.float().contiguous().numpy())[0])


def convert(chain: Chain, *, int8: bool, folder: Path | None = None) -> list[Stage]:
    """Return the chain's stages, those with weights converted; one that does not convert as it is.

    Args:
        chain: What to convert; not changed.
        int8: Use 8-bit integers in every stage where they cost next to nothing (``INT8_BOUND``).
        folder: Of the converted models; the user's cache by default.
    """
    cache = ModelCache(folder or user_cache_path("restorechain") / "openvino")
    return [
        _converted(stage, name, str(config.architecture()), cache, int8=int8) if _is_used(stage, strength) else stage
        for stage, name, config, strength in zip(
            chain.stages, chain.names, chain.config.stages, chain.strengths, strict=True
        )
    ]


def _is_used(stage: Stage, strength: float) -> bool:
    learned = next(stage.parameters(), None) is not None
    return learned and strength > 0 and not isinstance(stage, ConvertedStage)


def _converted(stage: Stage, name: str, architecture: str, cache: ModelCache, *, int8: bool) -> Stage:
    key = _key(stage, architecture)
    try:
        exact = cache.load(key, lambda: _export(stage), lambda model: _fp32_stage(stage, model))
    except ConversionError as refused:
        _log.warning("stage %s runs in torch: %s", name, refused)
        return stage
    if not int8:
        return exact
    from pipeline.backends.int8 import quantise

    try:
        return cache.load(
            f"{key}-int8",
            lambda: quantise(_export(stage), calibration_photos()),
            lambda model: _int8_stage(stage, model),
        )
    except ConversionError as refused:
        _log.warning("stage %s stays in fp32: %s", name, refused)
        return exact


def _key(stage: Stage, architecture: str) -> str:
    """Hash everything that a converted model depends on."""
    digest = hashlib.sha256(f"{type(stage)} {architecture} {stage}".encode())
    for package in ("openvino", "nncf", "torch", "restorechain"):
        digest.update(version(package).encode())
    for name, tensor in stage.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _export(stage: Stage) -> openvino.Model:
    """Convert a stage for any batch, height and width.

    Raises:
        ConversionError: if OpenVINO cannot.
    """
    side = round_up(64, stage.multiple_of)
    example = torch.zeros(1, 3, side, side)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of what the comparison finds out
            stage(example)  # what a first run keeps for later runs would else be traced along
            return openvino.convert_model(stage, example_input=example, input=[-1, 3, -1, -1])
    except Exception as error:  # of many types, from tracing or from either library
        raise ConversionError(f"OpenVINO cannot convert it ({_first_line(error)})") from error


def _compile(model: openvino.Model) -> Any:
    options = {
        "INFERENCE_PRECISION_HINT": "f32",  # else bf16, on processors that have it
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # pinned threads of two processes share a core and leave another idle
    }
    return openvino.Core().compile_model(model, "CPU", options)


def _fp32_stage(stage: Stage, model: openvino.Model) -> ConvertedStage:
    """Return the converted stage.

    Raises:
        ConversionError: if it differs from torch by more than ``FP32_BOUND`` of full scale in any pixel.
    """
    converted = ConvertedStage(stage, model, "openvino")
    (difference,) = _differences(stage, converted, photos=1)  # one tells, and every start waits for it
    worst = difference.abs().max().item()
    if not worst <= FP32_BOUND:
        raise ConversionError(f"OpenVINO's result differs by {worst:.2g} of full scale, {FP32_BOUND:g} is allowed")
    return converted


def _int8_stage(stage: Stage, model: openvino.Model) -> ConvertedStage:
    """Return the quantised stage.

    Raises:
        ConversionError: if it comes no nearer to fp32 than ``INT8_BOUND`` (PSNR in dB) on a photo. An independent
            error of 50 dB costs 0.1 dB where fp32 comes within 33.7 dB of the truth.
    """
    converted = ConvertedStage(stage, model, "openvino int8")
    differences = _differences(stage, converted, photos=4)
    worst = min(-10 * difference.square().mean().log10().item() for difference in differences)
    if not worst >= INT8_BOUND:
        raise ConversionError(f"int8 comes within {worst:.1f} dB of fp32, {INT8_BOUND:g} dB is asked for")
    return converted


def _differences(stage: Stage, converted: Stage, photos: int) -> list[Tensor]:
    given = comparison_photos(stage.multiple_of, photos)
    with torch.inference_mode():
        expected = [stage(photo) for photo in given]
        try:
            return [converted(photo) - result for photo, result in zip(given, expected, strict=True)]
        except RuntimeError as error:  # a graph that holds for one size only
            raise ConversionError(f"OpenVINO cannot run it ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
