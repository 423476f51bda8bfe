"""One HTML page that needs nothing but itself: gathered while a run goes on, put together at its end."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.alpha import restored_like
from pipeline.atomic import partial_folder
from pipeline.batch.record import Record
from pipeline.batch.run_log import recall
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Restoration
from pipeline.errors import ConfigError, one_line
from pipeline.evaluation.metrics import measured
from pipeline.html_report import previews
from pipeline.html_report.summary import after_lines, chain_lines, gmacs_by_stage, summarise, without_lines
from pipeline.images import ImageFile, read_image
from pipeline.video.options import READABLE as VIDEOS

SHOWN_IN_FULL = 30

# As in the table of ``python -m stages``.
_FRAME = (640, 360)


@dataclass(frozen=True)
class Shown:
    """The pictures of one input, or why there are none."""

    views: list[previews.View]
    error: str | None = None


class HtmlReport:
    """Gathers a run's inputs, and writes the page once, at the end.

    Pictures are drawn as soon as an input is finished, into a hidden folder beside the page, so that memory does
    not grow with their number; of at most ``SHOWN_IN_FULL`` inputs, so that the page does not either.

    Args:
        path: The page; replaced if it is there.
        config: The chain.
        output: The folder of the results.
        ledger: The report of the batch.

    Raises:
        ConfigError: if the path is a folder.
    """

    def __init__(self, path: Path, config: ChainConfig, output: Path, ledger: Path) -> None:
        if path.is_dir():
            raise ConfigError(f"--report: {path} is a folder, expected a file")
        self.path = path
        self._config = config
        self._gmacs: dict[tuple[int, int], dict[str, float]] = {}
        self._output = output
        self._ledger = ledger
        self._folder = partial_folder(path)
        self._records: list[Record] = []
        self._shown: dict[int, Shown] = {}
        self._count_gmacs(*_FRAME)  # a chain that cannot be counted is told before any work
        self.close()  # left by a kill

    @property
    def has_room(self) -> bool:
        """Whether the next input's pictures will be shown."""
        return len(self._shown) < SHOWN_IN_FULL

    def add(self, record: Record, content: Any, result: Any) -> None:
        """Add one input, whatever became of it.

        Args:
            record: Final.
            content: The input; where it is missing, as for an input that was skipped, it is read again.
            result: With the image after every stage; where it is missing, the output is read.

        Raises:
            OSError: if the page's folder cannot be made.
        """
        index = len(self._records)
        image = content if isinstance(content, ImageFile) else None
        self._records.append(record)
        if self.has_room and record.status in ("done", "skipped"):
            self._shown[index] = self._draw(index, record, image, result)

    def write(self, *, planned: int, seconds: float, waiting: float) -> None:
        """Put the page together and move it to its place.

        Args:
            planned: Inputs that the run was given; more than were added if it was interrupted.
            seconds: What the run took.
            waiting: Share of the time that the device waited for reading and writing.

        Raises:
            OSError: if it cannot be written; what stood there before still does.
        """
        records = recall(self._ledger, self._records)
        stream = (
            _environment()
            .get_template("page.html.jinja")
            .stream(
                records=records,
                shown=self._shown,
                summary=summarise(records),
                stages=chain_lines(self._config),
                fingerprint=self._config.fingerprint(),
                frame=_FRAME,
                count_gmacs=self._count_gmacs,
                after_lines=after_lines,
                without_lines=without_lines,
                measured=measured,
                planned=planned,
                seconds=seconds,
                waiting=waiting,
                previews=previews,
                limit=SHOWN_IN_FULL,
            )
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        whole = self._folder / "page.html"
        stream.dump(os.fspath(whole), encoding="utf-8", errors="replace")  # names need not be valid Unicode
        whole.replace(self.path)

    def close(self) -> None:
        """Remove what was kept for the page."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _draw(self, index: int, record: Record, picture: ImageFile | None, restoration: Restoration | None) -> Shown:
        """Draw an input's pictures; whatever goes wrong there does not stop a run."""
        source = Path(record.input)
        if source.is_dir() or source.suffix.lower() in VIDEOS:
            return Shown([], "of films, only time and work are shown")
        folder = self._folder / str(index)
        folder.mkdir(parents=True)
        try:
            before = picture or read_image(source)
            if restoration is not None:
                after = {name: restored_like(before, pixels) for name, pixels in restoration.stages.items()}
            else:
                after = {self._config.names[-1]: read_image(self._output / str(record.output))}
            return Shown(previews.draw(folder, before, after, _reference_of(record)))
        except Exception as error:
            return Shown([], one_line(error))

    def _count_gmacs(self, width: int, height: int) -> dict[str, float]:
        if (width, height) not in self._gmacs:
            self._gmacs[width, height] = gmacs_by_stage(self._config, width, height)
        return self._gmacs[width, height]


def _reference_of(record: Record) -> ImageFile | None:
    """Read what the input was judged by; None where it could not be."""
    if record.quality is None or record.quality.reference is None or not record.quality.figures:
        return None
    return read_image(Path(record.quality.reference))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.html_report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = _embedded
    environment.globals["source"] = _source
    environment.globals["sha256"] = _sha256
    return environment


def _embedded(path: Path) -> str:
    """Return a WebP file as an address that holds it."""
    return f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _source(name: str) -> Markup:
    """Return a file that lies beside the template as it is."""
    return Markup(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _sha256(text: str) -> str:
    """Return the hash by which a page's Content-Security-Policy knows its own script."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
