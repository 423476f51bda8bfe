"""Run stages by OpenVINO: slightly faster than torch on a CPU in fp32, several times faster in int8.

int8 near fp32? -- no, and the processor has bf16 --> bf16 near fp32? -- no --> fp32
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import openvino
import torch

from pipeline.backends.conversion import (
    ConvertedStage,
    Run,
    agreeing,
    convert_stages,
    differences,
    model_key,
    open_cache,
    tracing,
    with_measures,
)
from pipeline.backends.photos import calibration_photos, comparison_photos
from pipeline.backends.wrapper import NamedStage
from pipeline.errors import ConversionError
from stages.stage import Stage

NEAR = 50.0
_FILE = "model.xml"
_log = logging.getLogger(__name__)


def convert(stages: Sequence[NamedStage], *, int8: bool = False, folder: Path | None = None) -> list[Stage]:
    """Convert the networks among stages; one that cannot be converted is returned unchanged.

    Args:
        stages: What to convert; not changed.
        int8: Use 8-bit integers in every stage where the loss is negligible (``NEAR``), and bf16 in the others
            where that does, on a processor that has it.
        folder: Of the converted models; the user's cache by default.
    """
    return convert_stages(stages, partial(converted, int8=int8, folder=folder))


def converted(named: NamedStage, *, int8: bool = False, folder: Path | None = None) -> Stage:
    """Convert a network.

    Raises:
        ConversionError: if OpenVINO cannot convert or run it, or if its results in fp32 do not agree with torch's.
    """
    stage, key, cache = named.stage, model_key(named, ("openvino", "nncf")), open_cache("openvino", folder)
    exact = cache.load(key, lambda place: _save(_export(stage), place), partial(_load_fp32, stage))
    if not int8:
        return exact
    from pipeline.backends.int8 import quantise

    ways = {"int8": lambda: quantise(_export(stage), [with_measures(stage, photo) for photo in calibration_photos()])}
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        ways["bf16"] = lambda: _export(stage)
    for precision, make in ways.items():
        try:
            return cache.load(
                f"{key}-{precision}",
                lambda place, make=make: _save(make(), place),  # type: ignore[misc]
                partial(_load_near, stage, precision),
            )
        except ConversionError as refused:
            _log.warning("stage %s does not run in %s: %s", named.name, precision, refused)
    return exact


def _export(stage: Stage) -> openvino.Model:
    """Convert a stage for any batch, height and width.

    Raises:
        ConversionError: if OpenVINO cannot.
    """
    with tracing(stage, "OpenVINO") as example:
        return openvino.convert_model(stage, example_input=example, input=[-1, 3 + stage.measures, -1, -1])


def _save(model: openvino.Model, place: Path) -> None:
    openvino.save_model(model, place / _FILE, compress_to_fp16=False)


def _compile(place: Path, hint: str = "f32") -> Run:
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # Windows could not delete the files while they are mapped
    options = {
        "INFERENCE_PRECISION_HINT": hint,  # unset it would be bf16, on processors that have it
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # pinned threads of two processes share a core and leave another idle
    }
    compiled = core.compile_model(core.read_model(place / _FILE), "CPU", options)
    return lambda images: compiled(images)[0]


def _load_fp32(stage: Stage, place: Path) -> ConvertedStage:
    return agreeing(ConvertedStage(stage, _compile(place), "openvino"), "OpenVINO")


def _load_near(stage: Stage, precision: str, place: Path) -> ConvertedStage:
    """Load a stage in int8 or bf16.

    Raises:
        ConversionError: if its PSNR to fp32 is below ``NEAR`` (in dB) on a photo. An independent error of
            50 dB costs 0.1 dB where fp32 comes within 33.7 dB of the truth.
    """
    run = _compile(place, "bf16" if precision == "bf16" else "f32")
    converted = ConvertedStage(stage, run, f"openvino {precision}")
    found = differences(stage, converted, "OpenVINO", comparison_photos(stage.multiple_of, 4))
    worst = min(-10 * difference.square().mean().log10().item() for difference in found)
    if not worst >= NEAR:
        raise ConversionError(f"{precision} reaches {worst:.1f} dB PSNR to fp32, expected {NEAR:g} dB")
    return converted
