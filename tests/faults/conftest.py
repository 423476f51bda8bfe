"""The campaign's fixtures, and its report at the end of the test run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import Campaign

_CAMPAIGN = Campaign.from_environment()


@pytest.fixture(scope="session")
def campaign() -> Campaign:
    """The campaign of this test run."""
    return _CAMPAIGN


@pytest.fixture
def kept_folder() -> Iterator[None]:
    """Go back to the working folder at the end."""
    before = Path.cwd()
    yield
    os.chdir(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of the campaign."""
    for line in _CAMPAIGN.lines:
        terminalreporter.write_line(f"faults: {line}")
