"""Choose the engine of each network by a short race on this machine, once, and remember the result.

No rule holds for long: ncnn, the fastest on an AMD EPYC with AVX-512, was the slowest on one with AVX2 only, and what
is best for wide layers need not be for narrow ones.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import torch
from platformdirs import user_cache_path

from pipeline.backends.conversion import model_key, with_measures
from pipeline.backends.photos import race_photo
from pipeline.backends.wrapper import NamedStage
from pipeline.errors import ConversionError
from stages.stage import Stage

_ROUNDS = 3
_log = logging.getLogger(__name__)

Milliseconds = dict[str, float]
Engines = Mapping[str, Callable[[NamedStage], Stage]]
"""What makes each engine run a network; raises ConversionError."""


def user_results() -> Path:
    """Return the folder of results in the user's cache."""
    return user_cache_path("restorechain") / "races"


def race(named: NamedStage, engines: Engines, folder: Path, *, again: bool = False) -> Milliseconds:
    """Return how long each engine that can run a network takes, the fastest first.

    A result is measured once: the first one that is written holds for all processes, whatever their number of
    threads, so that workers restore alike.

    Args:
        named: The network.
        engines: Those that take part.
        folder: Of the results.
        again: Measure although there is a result, and replace it.
    """
    record = folder / f"{_key(named, engines)}.json"
    if again:
        record.unlink(missing_ok=True)
    times = _read(record, engines)
    if times is None:
        measured = _measure(named, engines)
        _write(record, measured)
        times = _read(record, engines) or measured
    return dict(sorted(times.items(), key=lambda engine: engine[1]))


def _key(named: NamedStage, engines: Engines) -> str:
    packages = [engine for engine in engines if engine != "torch"]
    return model_key(named, packages)


@torch.inference_mode()
def _measure(named: NamedStage, engines: Engines) -> Milliseconds:
    """Run the network by each engine in turn, so that another program's load meets all of them."""
    ready = {}
    for engine, prepare in engines.items():
        try:
            ready[engine] = prepare(named)
        except ConversionError as refused:
            _log.info("stage %s is not run by %s: %s", named.name, engine, refused)
    photo = with_measures(named.stage, race_photo(named.stage.multiple_of))
    for stage in ready.values():
        stage(photo)
    times = {engine: float("inf") for engine in ready}
    for _ in range(_ROUNDS):
        for engine, stage in ready.items():
            started = perf_counter()
            stage(photo)
            times[engine] = min(times[engine], 1000 * (perf_counter() - started))
    return times


def _read(record: Path, engines: Engines) -> Milliseconds | None:
    """Return a result; None if there is none, or a damaged one, which is removed."""
    try:
        times = json.loads(record.read_text(encoding="utf-8"))
        return {engine: float(times[engine]) for engine in engines if engine in times} or None
    except OSError:
        return None
    except (ValueError, TypeError):
        record.unlink(missing_ok=True)
        return None


def _write(record: Path, times: Milliseconds) -> None:
    """Keep a result, unless another process was first, or nothing can be kept."""
    with suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=record.parent, encoding="utf-8") as file:
            json.dump(times, file)
            file.flush()
            os.link(file.name, record)
