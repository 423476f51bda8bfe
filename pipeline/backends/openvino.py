"""Run stages by OpenVINO: slightly faster than torch on a CPU in fp32, several times faster in int8.

int8 near fp32? -- no --> bf16 where the processor is fast in it, else int8 in the middle of the network: near fp32?
                                                                                   -- no --> fp32
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import openvino
import torch

from pipeline.backends.conversion import (
    ConvertedStage,
    Images,
    compare,
    convert_stages,
    differences,
    model_key,
    open_cache,
    tracing,
    with_measures,
)
from pipeline.backends.photos import calibration_photos, comparison_photos
from pipeline.backends.wrapper import NamedStage
from pipeline.device.computing import cpu_is_faster_in_bf16
from pipeline.errors import ConversionError
from stages.stage import Stage

NEAR = 50.0
_FILE = "model.blob"
_log = logging.getLogger(__name__)


def convert(stages: Sequence[NamedStage], *, int8: bool = False, folder: Path | None = None) -> list[Stage]:
    """Convert the networks among stages; one that cannot be converted is returned unchanged.

    Args:
        stages: What to convert; not changed.
        int8: Use 8-bit integers in every stage where the loss is negligible (``NEAR``), in the others bf16, on a
            processor that is fast in it, or 8-bit integers in the middle of the network, if that loses as little.
        folder: Of the converted models; the user's cache by default.
    """
    return convert_stages(stages, partial(converted, int8=int8, folder=folder))


def converted(named: NamedStage, *, int8: bool = False, folder: Path | None = None) -> Stage:
    """Convert a network.

    Raises:
        ConversionError: if OpenVINO cannot convert or run it, or if its results in fp32 do not agree with torch's.
    """
    stage, key, cache = named.stage, model_key(named, ("openvino", "nncf")), open_cache("openvino", folder)
    for way in _faster_ways() if int8 else ():
        try:
            return cache.load(
                f"{key}-{way.name}",
                partial(_make, partial(way.make, stage), way.hint),
                partial(_read, stage, f"openvino {way.precision}", way.hint),
                partial(_require_near, precision=way.precision),
            )
        except ConversionError as refused:
            _log.warning("stage %s does not run in %s: %s", named.name, way.name, refused)
    return cache.load(
        key,
        partial(_make, partial(_export, stage), "f32"),
        partial(_read, stage, "openvino", "f32"),
        partial(compare, engine="OpenVINO"),
    )


class _Way(NamedTuple):
    """How a network may run faster than in fp32: its precision, what makes its model, and the rest's precision."""

    name: str
    precision: str
    make: Callable[[Stage], openvino.Model]
    hint: str = "f32"


def _faster_ways() -> tuple[_Way, ...]:
    """Return what to try on this processor, the fastest first."""
    if cpu_is_faster_in_bf16():
        return _Way("int8", "int8", partial(_quantised, ends=0)), _Way("bf16", "bf16", _export, hint="bf16")
    inside = _Way("int8 in its middle", "int8", partial(_quantised, ends=1 / 3))
    return _Way("int8", "int8", partial(_quantised, ends=0)), inside


def _quantised(stage: Stage, ends: float) -> openvino.Model:
    from pipeline.backends.int8 import quantise  # takes seconds

    return quantise(_export(stage), [with_measures(stage, photo) for photo in calibration_photos()], ends)


def _export(stage: Stage) -> openvino.Model:
    """Convert a stage for any batch, height and width.

    Raises:
        ConversionError: if OpenVINO cannot.
    """
    with tracing(stage, "OpenVINO") as example:
        return openvino.convert_model(stage, example_input=example, input=[-1, 3 + stage.measures, -1, -1])


def _make(make: Callable[[], openvino.Model], hint: str, place: Path) -> None:
    """Keep a model as it is once compiled, which is read in a fifth of the time that compiling takes."""
    compiled = openvino.Core().compile_model(make(), "CPU", _options(hint))
    (place / _FILE).write_bytes(compiled.export_model().getbuffer())


def _read(stage: Stage, label: str, hint: str, place: Path) -> ConvertedStage:
    compiled = openvino.Core().import_model((place / _FILE).read_bytes(), "CPU", _options(hint))
    return ConvertedStage(stage, partial(_run, compiled), label)


def _run(compiled: openvino.CompiledModel, images: Images) -> Images:
    """Run a model; its memory is freed for the next stage, whose own would come on top of it."""
    made: Images = compiled(images)[0]
    compiled.release_memory()
    return made


def _options(hint: str) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": hint,  # unset it would be bf16, on processors that have it
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # pinned threads of two processes share a core and leave another idle
    }


def _require_near(converted: ConvertedStage, precision: str) -> None:
    """Compare a stage in int8 or bf16 with torch.

    Raises:
        ConversionError: if its PSNR to fp32 is below ``NEAR`` (in dB) on a photo. An independent error of
            50 dB costs 0.1 dB where fp32 comes within 33.7 dB of the truth.
    """
    found = differences(converted.original, converted, "OpenVINO", comparison_photos(converted.original.multiple_of, 4))
    worst = min(-10 * difference.square().mean().log10().item() for difference in found)
    if not worst >= NEAR:
        raise ConversionError(f"{precision} reaches {worst:.1f} dB PSNR to fp32, expected {NEAR:g} dB")
