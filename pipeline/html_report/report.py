"""Write the HTML report of a run as one self-contained file: previews during the run, the page at its end."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.alpha import restored_like
from pipeline.batch.record import Record
from pipeline.batch.run_log import recall
from pipeline.chain.config import ChainConfig
from pipeline.engine.restoration import Restoration
from pipeline.errors import ConfigError, one_line
from pipeline.evaluation.metrics import measured
from pipeline.html_report import previews
from pipeline.html_report.summary import ChainSummary, WorkCounter, after_lines, chain_lines, summarise, without_lines
from pipeline.images import ImageFile, read_image
from pipeline.storage.objects import fetch, is_url, joined
from pipeline.video.options import READABLE as VIDEOS
from stages.atomic import partial_folder, written_whole

SHOWN_IN_FULL = 30

# As in the table of stages.
_FRAME = (640, 360)


@dataclass(frozen=True)
class InputPreviews:
    """The previews of one input, or why there are none."""

    views: list[previews.View]
    error: str | None = None


class HtmlReport:
    """Collects a run's inputs, and writes the report once, at the end.

    Previews are drawn as soon as an input is finished, into a hidden folder beside the report, so that memory does
    not grow with their number; of at most ``SHOWN_IN_FULL`` inputs, so that the report does not either.

    Args:
        path: The HTML file; replaced if it exists.
        config: The chain.
        output: The folder of the results, or the URL of their prefix in a storage.
        run_log: The run log of the batch, a file of JSON lines; None for one in a storage, which is not read.
        video_config: The chain of videos, where they have another one.

    Raises:
        ConfigError: if the path is a folder.
        OSError: if nothing can be written beside it.
    """

    def __init__(
        self,
        path: Path,
        config: ChainConfig,
        output: Path | str,
        run_log: Path | None,
        video_config: ChainConfig | None = None,
    ) -> None:
        if path.is_dir():
            raise ConfigError(f"report: {path} is a folder, expected a file")
        self.path = path
        self._config = config
        self._work = WorkCounter(config)
        self._video_config = video_config
        self._video_work = self._work if video_config is None else WorkCounter(video_config)
        self._output = output
        self._run_log = run_log
        self._folder = partial_folder(path)
        self._records: list[Record] = []
        self._shown: dict[int, InputPreviews] = {}
        self._work.gmacs(*_FRAME)  # a chain that cannot be counted fails before any work
        self.close()  # remove what a killed run left
        self._folder.mkdir(parents=True)

    @property
    def has_room(self) -> bool:
        """Whether the next input will be shown with previews."""
        return len(self._shown) < SHOWN_IN_FULL

    def add(self, record: Record, content: Any, result: Any) -> None:
        """Add one input with any status.

        Args:
            record: Final.
            content: The input; if it is no image file, as for an input that was skipped, it is read again.
            result: The restoration with the outputs of all stages; if None, the output file is read.
        """
        index = len(self._records)
        image = content if isinstance(content, ImageFile) else None
        self._records.append(record)
        if self.has_room and record.status in ("done", "skipped"):
            self._shown[index] = self._draw(index, record, image, result)

    def write(self, *, planned: int, seconds: float, waiting: float) -> None:
        """Render the report and move it to its place.

        Args:
            planned: Number of inputs of the run; more than were added if it was interrupted.
            seconds: Duration of the run.
            waiting: Share of the time in which the device waited for reading and writing.

        Raises:
            OSError: if it cannot be written; an earlier report stays as it was.
        """
        records = self._records if self._run_log is None else recall(self._run_log, self._records)
        stream = (
            _environment()
            .get_template("report.html.jinja")
            .stream(
                records=records,
                shown=self._shown,
                summary=summarise(records),
                chains=self._chains(),
                frame=_FRAME,
                gmacs=self._shown_gmacs(records),
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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(self.path) as temporary:
            stream.dump(os.fspath(temporary), encoding="utf-8", errors="replace")  # names need not be valid Unicode

    def close(self) -> None:
        """Remove the previews, which the written report holds."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _draw(
        self, index: int, record: Record, image: ImageFile | None, restoration: Restoration | None
    ) -> InputPreviews:
        """Draw an input's previews; no error in it stops the run."""
        source = Path(record.input)
        if source.is_dir() or source.suffix.lower() in VIDEOS:
            return InputPreviews([], "for videos, only time and work are shown")
        folder = self._folder / str(index)
        try:
            folder.mkdir(parents=True)
            before = image or _read_again(record.input, folder)
            if restoration is not None:
                after = {name: restored_like(before, pixels) for name, pixels in restoration.stages.items()}
            else:
                after = {self._config.names[-1]: _read_again(joined(str(self._output), str(record.output)), folder)}
            return InputPreviews(previews.draw(folder, before, after, _reference_of(record)))
        except Exception as error:
            return InputPreviews([], one_line(error))

    def _chains(self) -> list[ChainSummary]:
        if self._video_config is None:
            return [_chain_summary("Chain", self._config, self._work)]
        return [
            _chain_summary("Chain of images", self._config, self._work),
            _chain_summary("Chain of videos", self._video_config, self._video_work),
        ]

    def _shown_gmacs(self, records: Sequence[Record]) -> dict[int, dict[str, float]]:
        """Return the work by stage of each input that is shown with previews, where its size is known."""
        shown = {number: records[number] for number in self._shown}
        return {
            number: (self._work if record.frames is None else self._video_work).gmacs(*record.input_size)
            for number, record in shown.items()
            if record.input_size is not None
        }


def _chain_summary(title: str, config: ChainConfig, work: WorkCounter) -> ChainSummary:
    return ChainSummary(title, chain_lines(config), config.fingerprint(), work.gmacs(*_FRAME))


def _reference_of(record: Record) -> ImageFile | None:
    """Read the reference that the input was compared with; None if there was none."""
    if record.quality is None or record.quality.reference is None or not record.quality.scores:
        return None
    return _read_again(record.quality.reference)


def _read_again(place: str, folder: Path = Path()) -> ImageFile:
    """Read an image that the run has read or written before, however large it is; fetch an object into a folder."""
    path = Path(place)
    if is_url(place):
        path = folder / path.name
        fetch(place, path)
    image = read_image(path, max_pixels=sys.maxsize)
    if is_url(place):
        path.unlink()
    return image


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
    """Return a WebP file as a data URL."""
    return f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _source(name: str) -> Markup:
    """Return the unescaped text of a file beside the template."""
    return Markup(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _sha256(text: str) -> str:
    """Return the hash of a script for the Content-Security-Policy."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
