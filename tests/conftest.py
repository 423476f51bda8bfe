"""What tests of all packages share."""

import gc
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

import stages  # noqa: F401  (some tests import torchvision)
from tests.stages.catalogue.faulty_server import FaultyServer, running_server

# A process that is no test makes its commands once, too: they are described by forty parameters with types and texts.
typer.main.get_command = cache(typer.main.get_command)

# No test survives a loss of power, and a disk takes milliseconds for each of the thousands of files that are flushed.
os.fsync = lambda file: None

# No test reaches outside, or into the user's own cache and catalogue; tests of downloads have a server of their own.
os.environ |= {"RESTORECHAIN_OFFLINE": "1", "RESTORECHAIN_CACHE": os.devnull, "RESTORECHAIN_CATALOGUE": os.devnull}

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_sessionstart() -> None:
    gc.disable()  # until all modules are imported; nearly all that is made meanwhile stays


def pytest_collectstart() -> None:
    """Prepare torch where tests are collected: the process of pytest -n that hands them out does without it."""
    import torch

    # Tests run side by side; threads that wait for each other's cores would make them many times slower.
    torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """Spare every later garbage collection the hundred thousands of objects that modules are made of."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture
def shared_data() -> Path:
    """The folder of test sets and published weights that lies beside some checkouts."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the test sets in {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    import torch

    torch.default_generator.manual_seed(0)  # torch.manual_seed takes a millisecond for the GPUs that are not there
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)


@pytest.fixture
def weights_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """A server that downloads are allowed from, without waits between attempts."""
    monkeypatch.delenv("RESTORECHAIN_OFFLINE", raising=False)
    monkeypatch.setattr("stages.catalogue.download.WAITS", (0.0, 0.0))
    with running_server() as running:
        yield running


@pytest.fixture
def weights_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a catalogue of one's own in ``own`` beside it."""
    monkeypatch.setenv("RESTORECHAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RESTORECHAIN_CATALOGUE", str(tmp_path / "own"))
    return tmp_path / "cache"


@pytest.fixture
def published(shared_data: Path, weights_cache: Path) -> Callable[[str, str], Path]:
    """Put a published file into the cache, in the place of the one that an entry names; return the entry."""
    from stages.catalogue.cache import place_of
    from stages.catalogue.entry import read_entry
    from stages.weights import resolve

    def put(name: str, file: str) -> Path:
        entry = resolve(name, Path())
        weights_cache.mkdir(exist_ok=True)
        place_of(entry, read_entry(entry)).symlink_to(shared_data / "published" / file)
        return entry

    return put
