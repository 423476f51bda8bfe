"""Divide processors and GPUs among workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Node:
    """What one machine offers."""

    cpus: int
    gpus: int


@dataclass(frozen=True)
class Shares:
    """How many workers there are, and what each of them gets; ``cpus`` is its number of threads, too."""

    workers: int
    cpus: int
    gpus: int


def divide(nodes: Sequence[Node], workers: int | Literal["auto"], device: str) -> Shares:
    """Divide machines among workers: one GPU each, or else an equal number of processors.

    Args:
        nodes: The machines.
        workers: How many; ``auto`` for one for each GPU, or else for each processor.
        device: As the user chose it: GPUs are divided unless it is ``cpu``.

    Raises:
        ConfigError: for more workers than there are GPUs or processors, or for a device that names one GPU.
    """
    if device.startswith("cuda:"):
        raise ConfigError(f"device: got {device!r}, expected auto, cpu or cuda with workers, which get one GPU each")
    with_gpus = [node for node in nodes if node.gpus] if device != "cpu" else []
    if with_gpus:
        wanted = _checked(workers, sum(node.gpus for node in with_gpus), "GPUs; device cpu uses the processors")
        return Shares(wanted, max(1, min(node.cpus // node.gpus for node in with_gpus)), 1)
    wanted = _checked(workers, sum(node.cpus for node in nodes), "processors")
    sizes = range(max(node.cpus for node in nodes), 0, -1)
    return Shares(wanted, next(cpus for cpus in sizes if sum(node.cpus // cpus for node in nodes) >= wanted), 0)


def _checked(workers: int | Literal["auto"], most: int, what: str) -> int:
    if workers == "auto":
        return most
    if workers > most:
        raise ConfigError(f"workers: got {workers}, expected at most {most}: there are {most} {what}")
    return workers
