"""What the page shows of jobs: their state as JSON, a result as HTML by the report's own macros, all results as ZIP."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from pipeline.html_report import previews
from pipeline.web.chains import Chains, command_line
from pipeline.web.jobs import Job, JobQueue
from pipeline.web.sessions import Session, Upload


def environment() -> Environment:
    """Return the templates of the page, with the report's as ``report/...``."""
    templates = {"web": PackageLoader("pipeline.web", ""), "report": PackageLoader("pipeline.html_report", "")}
    made = Environment(
        loader=PrefixLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["embedded"] = _address
    made.globals["previews"] = previews
    return made


def session_state(session: Session, queue: JobQueue) -> dict[str, Any]:
    """Return what an open page shows of a session."""
    return {"uploads": [_upload_state(upload, queue) for upload in session.uploads.values()]}


def job_state(job: Job, queue: JobQueue) -> dict[str, Any]:
    """Return how far a job is."""
    left = job.seconds_left
    return {
        "key": job.key,
        "state": "cancelled" if job.cancelled else job.state,
        "place": queue.place(job),
        "share": round(job.share, 3),
        "seconds_left": None if left is None else round(left),
        "error": None if job.error is None else without_paths(job.error),
    }


def without_paths(text: str) -> str:
    """Return an error without the folders of the server: a visitor knows the names of files only."""
    return re.sub(r"(?<![\w.])(?:/[\w.@+~-]+)+/", "", text)


def result_html(templates: Environment, job: Job, name: str, chains: Chains) -> str:
    """Return a finished job as a piece of HTML."""
    chain = chains.find(job.settings.chain)
    return templates.get_template("web/result.html.jinja").render(
        job=job,
        name=name,
        record=job.record,
        views=job.views,
        chain=chain,
        yaml=chain.as_yaml(job.settings),
        command=command_line(name, job.settings),
    )


def zipped(files: Iterable[Path]) -> Iterator[bytes]:
    """Yield a ZIP of files piece by piece, so that no copy of them is made; equal names are numbered."""
    pieces, names = _Pieces(), Counter[str]()
    with zipfile.ZipFile(pieces, "w") as archive:
        for path in files:
            names[path.name] += 1
            number = f" ({names[path.name]})" if names[path.name] > 1 else ""
            with (
                path.open("rb") as source,
                archive.open(f"{path.stem}{number}{path.suffix}", "w", force_zip64=True) as entry,
            ):
                while piece := source.read(1 << 20):
                    entry.write(piece)
                    yield pieces.taken()
    yield pieces.taken()


class _Pieces(io.RawIOBase):
    """Collects what is written until it is taken; cannot seek, as a connection."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def write(self, piece: Any) -> int:
        """Keep some bytes."""
        self._written += piece
        return len(piece)

    def taken(self) -> bytes:
        """Return all bytes since the last call."""
        piece = bytes(self._written)
        self._written.clear()
        return piece


def _upload_state(upload: Upload, queue: JobQueue) -> dict[str, Any]:
    return {
        "key": upload.key,
        "name": upload.name,
        "kind": upload.kind,
        "size": upload.size,
        "condition": None if upload.condition is None else str(upload.condition),
        "error": None if upload.error is None else without_paths(upload.error),
        "jobs": {kind: job_state(job, queue) for kind, job in upload.jobs.items()},
    }


@pass_context
def _address(context: Context, path: Path) -> str:
    return f"jobs/{context['job'].key}/views/{path.name}"
