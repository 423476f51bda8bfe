"""What a page says of a whole run, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pipeline.batch.record import Record, Scores
from pipeline.chain.config import ChainConfig
from pipeline.chain.costs import chain_costs
from pipeline.evaluation.tables import mean_figures
from stages.profile import total
from stages.stage import LearnedStageConfig, StageConfig

_WITHOUT = "without "


@dataclass(frozen=True)
class StageLine:
    """One stage of the chain.

    Attributes:
        options: With their values, those of the weights' card included.
        weights: Name of the file; None for a stage that needs none.
        weights_sha256: Of its bytes.
    """

    name: str
    options: str
    weights: str | None
    weights_sha256: str | None


@dataclass(frozen=True)
class Summary:
    """A run.

    Attributes:
        counts: Inputs by status.
        problems: The records of what failed or was refused.
        unjudged: The records of what could not be compared with a reference.
        judged: How many were compared.
        figures: Their means, by picture.
        stage_seconds: Computing time by stage, of all inputs together.
        median_seconds: Of an input's whole time; None if nothing was restored.
        devices: All that were used.
        precisions: All that were used.
    """

    counts: Counter[str]
    problems: list[Record]
    unjudged: list[Record]
    judged: int
    figures: dict[str, Scores]
    stage_seconds: dict[str, float]
    median_seconds: float | None
    devices: list[str]
    precisions: list[str]


def summarise(records: Sequence[Record]) -> Summary:
    """Count and average records; those of skipped inputs count with what they tell of the earlier run."""
    finished = [record for record in records if record.status in ("done", "skipped")]
    judged = [record for record in finished if record.quality is not None and record.quality.figures]
    seconds: Counter[str] = Counter()
    for record in finished:
        seconds.update(record.stage_seconds)
    return Summary(
        counts=Counter(record.status for record in records),
        problems=[record for record in records if record.status in ("failed", "refused")],
        unjudged=[record for record in finished if record.quality is not None and not record.quality.figures],
        judged=len(judged),
        figures=mean_figures(judged),
        stage_seconds=dict(seconds),
        median_seconds=median(record.seconds for record in finished) if finished else None,
        devices=sorted({record.device for record in finished if record.device}),
        precisions=sorted({record.precision for record in finished if record.precision}),
    )


@dataclass(frozen=True)
class FiguresLine:
    """The figures of one picture, and how they differ from another's; None where there is no other."""

    name: str
    figures: Scores
    change: Scores | None


def after_lines(figures: dict[str, Scores]) -> list[FiguresLine]:
    """Return the figures before and after every stage, with the change that each brings."""
    names = [name for name in figures if not name.startswith(_WITHOUT)]
    befores: list[Scores | None] = [None, *(figures[name] for name in names)]
    return [_line(name, figures[name], before) for name, before in zip(names, befores, strict=False)]


def without_lines(figures: dict[str, Scores]) -> list[FiguresLine]:
    """Return the figures of the result without each stage, with what the result gains by having it."""
    *_, result = (name for name in figures if not name.startswith(_WITHOUT))
    left_out = (name for name in figures if name.startswith(_WITHOUT))
    return [FiguresLine(name, figures[name], _difference(figures[result], figures[name])) for name in left_out]


def _line(name: str, figures: Scores, before: Scores | None) -> FiguresLine:
    return FiguresLine(name, figures, None if before is None else _difference(figures, before))


def _difference(figures: Scores, others: Scores) -> Scores:
    return {metric: value - others[metric] for metric, value in figures.items()}


def chain_lines(config: ChainConfig) -> list[StageLine]:
    """Describe the stages of a chain, in their order."""
    hashes = config.weights_hashes()
    return [
        StageLine(name, _options(stage), _weights(stage), hashes.get(name))
        for name, stage in zip(config.names, config.stages, strict=True)
    ]


def gmacs_by_stage(config: ChainConfig, width: int, height: int) -> dict[str, float]:
    """Count each stage's 10^9 multiply-accumulates for an image of this size; 0 for a stage at strength 0.

    For the image as a whole: what tiles compute twice where they overlap is not counted.
    """
    return {name: total(layers).macs / 1e9 for name, layers in chain_costs(config, height, width).items()}


def _options(stage: StageConfig) -> str:
    options = stage.model_dump(mode="json", exclude={"stage", "weights"})
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _weights(stage: StageConfig) -> str | None:
    return Path(stage.weights).name if isinstance(stage, LearnedStageConfig) and stage.weights else None
