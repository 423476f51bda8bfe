"""What tests of all packages share."""

from pathlib import Path

import pytest
import torch

import stages  # noqa: F401  (some tests import torchvision)

# Tests run side by side (pytest -n); threads that wait for each other's cores would make them many times slower.
torch.set_num_threads(1)

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of test sets and published weights that lies beside some checkouts."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the test sets in {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    torch.manual_seed(0)
