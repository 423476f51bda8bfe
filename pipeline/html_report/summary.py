"""Summarise a run in numbers: counts, times, scores and work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.batch.record import Record
from pipeline.batch.score_tables import mean_scores
from pipeline.chain.config import ChainConfig
from pipeline.evaluation.quality import Scores
from stages.catalogue.entry import is_entry
from stages.profile import build_on_meta, stage_costs, total
from stages.stage import StageConfig
from stages.weights import read_card

_WITHOUT = "without "


@dataclass(frozen=True)
class StageLine:
    """One stage of the chain.

    Attributes:
        options: With their values, including those of the weights' card.
        weights: Name of the file, of a published one with its licence and origin; None for a stage without weights.
        weights_sha256: SHA-256 of the file.
    """

    name: str
    options: str
    weights: str | None
    weights_sha256: str | None


@dataclass(frozen=True)
class ChainSummary:
    """A chain of the run.

    Attributes:
        title: What it restores.
        stages: In their order.
        fingerprint: Of all that changes pixels.
        gmacs: By stage, of one frame.
    """

    title: str
    stages: list[StageLine]
    fingerprint: str
    gmacs: dict[str, float]


@dataclass(frozen=True)
class Summary:
    """Totals and means of a run.

    Attributes:
        counts: Inputs by status.
        problems: Records of inputs that failed or were refused.
        uncompared: Records of inputs that could not be compared with a reference.
        compared: How many were compared.
        scores: Their means, by variant.
        stage_seconds: Computing time by stage, of all inputs together.
        median_seconds: Of an input's whole time; None if nothing was restored.
        devices: All that were used.
        precisions: All that were used.
    """

    counts: Counter[str]
    problems: list[Record]
    uncompared: list[Record]
    compared: int
    scores: dict[str, Scores]
    stage_seconds: dict[str, float]
    median_seconds: float | None
    devices: list[str]
    precisions: list[str]


def summarise(records: Sequence[Record]) -> Summary:
    """Count and average records; those of skipped inputs count with the values of the earlier run."""
    finished = [record for record in records if record.status in ("done", "skipped")]
    compared = [record for record in finished if record.quality is not None and record.quality.scores]
    seconds: Counter[str] = Counter()
    for record in finished:
        seconds.update(record.stage_seconds)
    return Summary(
        counts=Counter(record.status for record in records),
        problems=[record for record in records if record.status in ("failed", "refused")],
        uncompared=[record for record in finished if record.quality is not None and not record.quality.scores],
        compared=len(compared),
        scores=mean_scores(compared),
        stage_seconds=dict(seconds),
        median_seconds=median(record.seconds for record in finished) if finished else None,
        devices=sorted({record.device for record in finished if record.device}),
        precisions=sorted({record.precision for record in finished if record.precision}),
    )


@dataclass(frozen=True)
class ScoresLine:
    """The scores of one variant, and their change against another one; None where there is no other."""

    name: str
    scores: Scores
    change: Scores | None


def after_lines(scores: dict[str, Scores]) -> list[ScoresLine]:
    """Return the scores before and after every stage, with the change by each stage."""
    names = [name for name in scores if not name.startswith(_WITHOUT)]
    befores: list[Scores | None] = [None, *(scores[name] for name in names)]
    return [_line(name, scores[name], before) for name, before in zip(names, befores, strict=False)]


def without_lines(scores: dict[str, Scores]) -> list[ScoresLine]:
    """Return the scores of the result without each stage, with the gain by having the stage."""
    *_, result = (name for name in scores if not name.startswith(_WITHOUT))
    left_out = (name for name in scores if name.startswith(_WITHOUT))
    return [ScoresLine(name, scores[name], _difference(scores[result], scores[name])) for name in left_out]


def _line(name: str, scores: Scores, before: Scores | None) -> ScoresLine:
    return ScoresLine(name, scores, None if before is None else _difference(scores, before))


def _difference(scores: Scores, others: Scores) -> Scores:
    return {metric: value - others[metric] for metric, value in scores.items()}


def chain_lines(config: ChainConfig) -> list[StageLine]:
    """Describe the stages of a chain, in their order."""
    hashes = config.weights_hashes()
    return [
        StageLine(name, _options(stage), _weights(stage), hashes.get(name))
        for name, stage in zip(config.names, config.stages, strict=True)
    ]


class WorkCounter:
    """Counts each stage's 10^9 multiply-accumulates for images of any size; the networks are built once."""

    def __init__(self, config: ChainConfig) -> None:
        stages = zip(config.names, config.stages, strict=True)
        self._stages = {name: (build_on_meta(stage), bool(stage.strength)) for name, stage in stages}
        self._counted: dict[tuple[int, int], dict[str, float]] = {}

    def gmacs(self, width: int, height: int) -> dict[str, float]:
        """Return the work by stage for an image of this size; 0 for a stage at strength 0.

        For the image as a whole: what overlapping tiles compute twice is not counted.
        """
        if (width, height) not in self._counted:
            self._counted[width, height] = self._count(width, height)
        return self._counted[width, height]

    def _count(self, width: int, height: int) -> dict[str, float]:
        gmacs, scale = {}, 1
        for name, (stage, active) in self._stages.items():
            gmacs[name] = total(stage_costs(stage, height * scale, width * scale)).macs / 1e9 if active else 0.0
            scale *= stage.scale
        return gmacs


def _options(stage: StageConfig) -> str:
    options = stage.model_dump(mode="json", exclude={"stage", "weights"})
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _weights(stage: StageConfig) -> str | None:
    path = stage.files().get("weights")
    if path is None:
        return None
    return read_card(path).origin if is_entry(path) else path.name
