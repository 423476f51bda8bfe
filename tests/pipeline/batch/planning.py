"""Empty files, and what a batch plans to make of them."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.batch.job import Job
from pipeline.batch.plan import plan
from pipeline.errors import ConfigError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def jobs_of(folder: Path, *inputs: str, **options: Any) -> list[Job]:
    """Plan to restore what lies below ``folder`` to ``folder/out``, all of which can be restored."""
    found = plan([str(folder / text) for text in inputs], folder / "out", **options)
    jobs = [job for job in found if isinstance(job, Job)]
    assert jobs == found
    return jobs


def targets(folder: Path, *inputs: str, **options: Any) -> dict[str, str]:
    """Map each source below ``folder`` to its target below ``folder/out``."""
    return {
        job.source.relative_to(folder).as_posix(): job.target.relative_to(folder / "out").as_posix()
        for job in jobs_of(folder, *inputs, **options)
    }


def problems(folder: Path, *inputs: str, output: str = "out", ext: str | None = None, suffix: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan([str(folder / text) for text in inputs], folder / output, ext=ext, suffix=suffix)
    return str(caught.value).replace(f"{folder}{os.sep}", "").splitlines()
