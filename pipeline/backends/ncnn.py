"""Run stages by ncnn, whose Winograd convolutions are the fastest in fp32 on a CPU.

ncnn ends the whole process where a graph holds what it does not know, and so may its converter, pnnx. So a stage is
converted and tested in other processes, and only a model that ran there and agreed with torch is loaded in this one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from pipeline.backends import ncnn_network
from pipeline.backends.conversion import (
    ConvertedStage,
    Run,
    compare,
    convert_stages,
    differences,
    model_key,
    open_cache,
    require_agreement,
    tracing,
    with_measures,
)
from pipeline.backends.parts import in_parts
from pipeline.backends.photos import trial_photos
from pipeline.backends.wrapper import NamedStage
from pipeline.errors import ConversionError
from pipeline.tiling import round_up
from stages.stage import Stage

# Seconds; the largest of the shipped networks takes six on two busy cores.
TIME_LIMIT = 180.0
# Of an image. Two overlap by 5 to 15 % of a frame of 640x360; every further one would by as much again.
PARTS = 2


def convert(stages: Sequence[NamedStage], *, folder: Path | None = None) -> list[Stage]:
    """Convert the networks among stages; one that cannot be converted is returned unchanged.

    Args:
        stages: What to convert; not changed.
        folder: Of the converted models; the user's cache by default.
    """
    return convert_stages(stages, partial(converted, folder=folder))


def converted(named: NamedStage, *, folder: Path | None = None) -> Stage:
    """Convert a network.

    Raises:
        ConversionError: if ncnn cannot convert or run it, or if its results do not agree with torch's.
    """
    return open_cache("ncnn", folder).load(
        model_key(named, ("ncnn", "pnnx")),
        partial(_make, named.stage),
        partial(_read, named.stage),
        partial(compare, engine="ncnn"),
    )


def _make(stage: Stage, place: Path) -> None:
    """Convert a stage for any height and width, and test it.

    Raises:
        ConversionError: if ncnn cannot convert or run it, or if its results do not agree with torch's.
    """
    with TemporaryDirectory() as folder:
        _export(stage, Path(folder), place)
        _try(stage, place, Path(folder))


def _export(stage: Stage, work: Path, place: Path) -> None:
    import pnnx

    with tracing(stage, "pnnx") as example:
        torch.jit.trace(stage, example, check_trace=False).save(work / "model.pt")
    planes, side, step = example.shape[1], example.shape[-1], round_up(16, stage.multiple_of)
    shapes = (
        f"inputshape=[1,{planes},{side},{side}]",
        f"inputshape2=[1,{planes},{side + step},{side + 2 * step}]",
    )
    _call([pnnx.EXEC_PATH, "model.pt", *shapes, "fp16=0"], work, "pnnx cannot convert it")
    for made, kept in (("model.ncnn.param", ncnn_network.PARAM), ("model.ncnn.bin", ncnn_network.WEIGHTS)):
        if not (work / made).is_file():
            raise ConversionError("pnnx cannot convert it (no result)")
        shutil.move(work / made, place / kept)


def _try(stage: Stage, place: Path, work: Path) -> None:
    """Compare a model, run in a separate process, with torch on photos of several sizes."""
    photos = trial_photos(stage.multiple_of)
    np.savez(work / "given.npz", *(with_measures(stage, photo).detach().numpy() for photo in photos))
    # -P, or this folder's own ncnn.py would be imported for the library.
    command = [sys.executable, "-P", ncnn_network.__file__, str(place), str(torch.get_num_threads())]
    _call([*command, "given.npz", "made.npz"], work, "ncnn cannot run it")
    with np.load(work / "made.npz") as results:
        made = iter([torch.from_numpy(results[name]) for name in results.files])
    require_agreement(differences(stage, lambda photo: next(made), "ncnn", photos), "ncnn")


def _call(command: list[str], folder: Path, what: str) -> None:
    """Run a command in a folder.

    Raises:
        ConversionError: if it fails, crashes or takes longer than ``TIME_LIMIT``.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=TIME_LIMIT, capture_output=True, text=True, errors="replace", check=False
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise ConversionError(f"{what} ({type(error).__name__})") from error
    if done.returncode:
        said = "; ".join(["", *done.stderr.split("\n")[-3:]]).strip("; ")
        raise ConversionError(f"{what} (exit code {done.returncode}, {said[:200] or 'no message'})")


def _read(stage: Stage, place: Path) -> ConvertedStage:
    return ConvertedStage(stage, _network(stage, place), "ncnn")


def _network(stage: Stage, place: Path) -> Run:
    """Return a model that is run by all threads, half of them for each part of an image."""
    threads = torch.get_num_threads()
    if stage.halo is None or threads == 1:
        return ncnn_network.Network(place, threads)
    return in_parts(ncnn_network.Network(place, -(-threads // PARTS)), stage, PARTS)
