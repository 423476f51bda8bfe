"""Choose the engine of each network by a short race on this machine, once, and remember the result.

No rule holds for long: ncnn, the fastest on an AMD EPYC with AVX-512, was the slowest on one with AVX2 only, and what
is best for wide layers need not be for narrow ones. Nor does a small photo say what is best for a frame: on an Intel
Xeon ncnn took 1.1 times as long as OpenVINO for 320x192 in a network that took it 2.0 times as long for 640x360, where
layers no longer fit into the cache.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
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

# Heights and widths: what all networks run, and a frame of a video, for those that are quick enough.
_SMALL, _FRAME = (192, 320), (360, 640)
_QUICK = 3000.0  # milliseconds a megapixel: 0.7 s a frame
_CLOSE = 1.5  # times the fastest one's time on the small photo: what runs the frame as well
_ROUNDS = 2  # the first warms up
_WORTH_A_CHANGE = 0.9
_log = logging.getLogger(__name__)

Times = dict[str, float]
"""Milliseconds a megapixel, by engine."""
Engines = Mapping[str, Callable[[NamedStage], Stage]]
"""What makes each engine run a network; raises ConversionError."""


def user_results() -> Path:
    """Return the folder of results in the user's cache."""
    return user_cache_path("restorechain") / "races"


def race(named: NamedStage, engines: Engines, folder: Path, *, again: bool = False) -> Times:
    """Return how many milliseconds a megapixel each engine that can run a network takes, the fastest first.

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


def assign(races: Sequence[Times]) -> list[str]:
    """Return the engine of each of a chain's networks: one for all, except where another is clearly faster.

    What differs by less than a tenth may be another program's load.
    """

    def total(engine: str) -> float:
        return sum(times.get(engine, min(times.values())) for times in races)

    leading = min({engine: None for times in races for engine in times}, key=total, default="")
    return [_own_engine(times, leading) for times in races]


def _own_engine(times: Times, leading: str) -> str:
    fastest = min(times, key=lambda engine: times[engine])
    worth_it = leading not in times or times[fastest] <= _WORTH_A_CHANGE * times[leading]
    return fastest if worth_it else leading


def _key(named: NamedStage, engines: Engines) -> str:
    packages = [engine for engine in engines if engine != "torch"]
    return f"{model_key(named, packages)}-{_FRAME[1]}x{_FRAME[0]}"


@torch.inference_mode()
def _measure(named: NamedStage, engines: Engines) -> Times:
    """Run the network by each engine on a small photo, and by the faster ones on a frame."""
    ready = {}
    for engine, prepare in engines.items():
        try:
            ready[engine] = prepare(named)
        except ConversionError as refused:
            _log.info("stage %s is not run by %s: %s", named.name, engine, refused)
    times = _in_turn(ready, named.stage, _SMALL)
    best = min(times.values())
    if best <= _QUICK:
        close = {engine: stage for engine, stage in ready.items() if times[engine] <= _CLOSE * best}
        times |= _in_turn(close, named.stage, _FRAME)
    return times


def _in_turn(ready: Mapping[str, Stage], original: Stage, size: tuple[int, int]) -> Times:
    """Time each engine's shortest run on a photo, in turn, so that another program's load meets all of them."""
    photo = with_measures(original, race_photo(original.multiple_of, size))
    megapixels = photo.shape[-2] * photo.shape[-1] / 1e6
    seconds = {engine: float("inf") for engine in ready}
    for _ in range(_ROUNDS):
        for engine, stage in ready.items():
            started = perf_counter()
            stage(photo)
            seconds[engine] = min(seconds[engine], perf_counter() - started)
    return {engine: 1000 * taken / megapixels for engine, taken in seconds.items()}


def _read(record: Path, engines: Engines) -> Times | None:
    """Return a result; None if there is none, or a damaged one, which is removed."""
    try:
        times = json.loads(record.read_text(encoding="utf-8"))
        return {engine: float(times[engine]) for engine in engines if engine in times} or None
    except OSError:
        return None
    except (ValueError, TypeError):
        record.unlink(missing_ok=True)
        return None


def _write(record: Path, times: Times) -> None:
    """Keep a result, unless another process was first, or nothing can be kept."""
    with suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=record.parent, encoding="utf-8") as file:
            json.dump(times, file)
            file.flush()
            os.link(file.name, record)
