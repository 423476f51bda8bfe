"""Start Ray on this machine, or join a cluster that is running."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pipeline.cluster.shares import Node, Shares, divide
from pipeline.errors import ConfigError
from stages.extras import install_hint

_PATIENCE = 5.0  # seconds
_OBJECT_STORE = 80 * 2**20  # bytes; pixels never pass through it
# Read when ray is imported. No usage statistics are sent; an address on this very machine is joined, too; of a worker
# that died we say ourselves what is to be said; workers are no nicer than a run of one process is.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_worker_niceness": "0",
}


def import_ray() -> Any:
    """Return the module ray.

    Raises:
        ConfigError: if it is not installed.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in _SETTINGS.items()})
    try:
        import ray
    except ImportError as error:
        raise ConfigError(f"workers: {error.name} is missing; {install_hint('cluster')}") from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    return ray


@contextmanager
def ray_session(address: str | None, workers: int | Literal["auto"], device: str) -> Iterator[Shares]:
    """Be connected to Ray, and hand out how its machines are divided among workers.

    Args:
        address: Of a running cluster; None starts Ray on this machine, and ends it afterwards.
        workers: As of ``divide``.
        device: Likewise.

    Raises:
        ConfigError: if Ray is missing, no cluster answers, or there are too few machines.
    """
    ray = import_ray()
    if address is None:
        here = _this_machine(workers, device)
        shares = divide([here], workers, device)
        resources = {"num_cpus": here.cpus, "num_gpus": here.gpus, "object_store_memory": _OBJECT_STORE}
        # "local": without it, Ray joins another cluster that runs on this machine.
        ray.init("local", **resources, include_dashboard=False, log_to_driver=False, configure_logging=False)
    else:
        _join(ray, address)
    try:
        yield shares if address is None else divide(_nodes(ray), workers, device)
    finally:
        ray.shutdown()


def _this_machine(workers: int | Literal["auto"], device: str) -> Node:
    """Return what this machine offers: a processor for each thread of torch's, and at least one for each worker."""
    import torch

    cpus = max(torch.get_num_threads(), 0 if workers == "auto" else workers)
    return Node(cpus, 0 if device == "cpu" else torch.cuda.device_count())


def _join(ray: Any, address: str) -> None:
    """Join a running cluster; where nothing listens, Ray itself would go on asking for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"cluster: got {address!r}, expected HOST:PORT, as `ray start --head` prints it")
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"cluster: {address} cannot be joined: {reason}; `ray start --head` starts one") from error


def _nodes(ray: Any) -> list[Node]:
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in resources]
