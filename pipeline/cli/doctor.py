"""`restorechain doctor`: what this machine has, and what ``auto`` chooses on it."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from pipeline.cli.terminal import OUT

_PACKAGES = ("torch", "torchvision", "av", "pyvips", "opencv-python-headless", "numpy", "ncnn", "openvino", "lightning")


def doctor() -> None:
    """Print what this machine has and uses.

    Devices, back ends, extras and versions, and what `auto` chooses and why.
    """
    for title, lines in (
        ("system", _system()),
        ("devices", _devices()),
        ("back ends on the CPU", _backends()),
        ("auto", _choices()),
        ("extras", _extras()),
        ("versions", _versions()),
    ):
        OUT.print(title)
        for line in lines:
            OUT.print(f"  {line}")


def _system() -> Iterator[str]:
    import torch

    yield f"{platform.platform()}, Python {platform.python_version()}"
    yield f"{torch.get_num_threads()} threads for computing"


def _devices() -> Iterator[str]:
    import torch

    from pipeline.device.computing import processor_name
    from pipeline.device.find import device_names
    from pipeline.device.memory import free_memory

    for name in device_names():
        device = torch.device(name)
        model = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
        yield f"{name}: {model}, {free_memory(device) / 2**30:.1f} GiB free"


def _backends() -> Iterator[str]:
    import torch

    from pipeline.backends.choice import obstacles

    yield "torch: available"
    for name, obstacle in obstacles(torch.device("cpu"), "auto").items():
        yield f"{name}: {obstacle or 'available'}"


def _choices() -> Iterator[str]:
    import numpy as np

    from pipeline.backends.choice import racers
    from pipeline.device.computing import choose_precision
    from pipeline.device.find import find_device

    device = find_device("auto")
    yield f"device: {device}, the first of GPU, Metal and CPU that is there"
    precision = choose_precision("auto", device, np.dtype(np.uint8))
    yield f"precision: {precision}{'' if precision == 'fp32' else ' for 8-bit images, fp32 for deeper ones'}"
    yield f"backend: {_backend(racers(device, 'auto'))}"


def _backend(racing: tuple[str, ...]) -> str:
    if len(racing) == 1:
        return f"{racing[0]}, the only one there"
    return (
        f"{', '.join(racing[:-1])} or {racing[-1]}: the fastest one for a chain, another for a network that it runs "
        "a tenth faster; `restorechain tune` lists the times"
    )


def _extras() -> Iterator[str]:
    """Say of each extra whether all that it asks for is installed."""
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in requires("restorechain") or ()]
    for extra in ("cpu", "train", "zoo"):
        names = [w.name for w in wanted if w.marker and w.marker.evaluate({"extra": extra})]
        missing = [name for name in names if _version(name) is None]
        yield f"{extra}: {'missing ' + ', '.join(missing) if missing else 'installed'}"


def _versions() -> Iterator[str]:
    for name in ("restorechain", *_PACKAGES):
        yield f"{name} {_version(name) or 'not installed'}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
