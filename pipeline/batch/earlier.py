"""What earlier runs recorded of one output: enough to decide whether it is finished, and small enough to be sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.batch.record import Record
    from pipeline.evaluation.quality import Scores


@dataclass(frozen=True)
class FinishedResult:
    """One result that an earlier run wrote, reduced to what later runs ask for.

    Attributes:
        made_of: Hashes of the output and the input, and the chain's fingerprint.
        precision: What it was computed in.
        differs: Of a video: what differs from its source.
        losses: What it lacks of its source.
        reference: Hash of the reference it was compared with.
        scores: What that comparison found.
    """

    made_of: tuple[str, str, str]
    precision: str
    differs: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    reference: str | None = None
    scores: dict[str, Scores] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> FinishedResult:
        """Read a line of the run log."""
        quality = record.get("quality")
        compared = quality if isinstance(quality, dict) and quality.get("scores") else {}
        return cls(
            made_of(record),
            str(record.get("precision")),
            tuple(record.get("differs", ())),
            tuple(record.get("losses", ())),
            compared.get("reference_sha256"),
            compared.get("scores", {}),
        )


@dataclass(frozen=True)
class EarlierResults:
    """The results that earlier runs wrote to one path.

    Attributes:
        place: Where they are recorded, for messages.
        results: The oldest first.
    """

    place: str
    results: tuple[FinishedResult, ...] = ()

    def made(self, output_sha256: str) -> bool:
        """Return whether an earlier run wrote these very bytes."""
        return any(result.made_of[0] == output_sha256 for result in self.results)

    def finished(self, record: Record, precisions: Collection[str]) -> bool:
        """Return whether an earlier run made this output of this input by this chain, in one of these precisions."""
        return any(result.precision in precisions for result in self._same(record))

    def scores(self, record: Record) -> dict[str, Scores]:
        """Return the scores that an earlier run found for a finished record with the same reference; else ``{}``."""
        reference = None if record.quality is None else record.quality.reference_sha256
        compared = [result.scores for result in self._same(record) if result.scores and result.reference == reference]
        return compared[-1] if compared else {}

    def differences(self, record: Record) -> tuple[str, ...]:
        """Return how an earlier run found a finished video to differ from its source."""
        same = self._same(record)
        return same[-1].differs if same else ()

    def losses(self, record: Record) -> tuple[str, ...]:
        """Return what an earlier run found a finished result to lack."""
        same = self._same(record)
        return same[-1].losses if same else ()

    def _same(self, record: Record) -> list[FinishedResult]:
        return [result for result in self.results if result.made_of == made_of(vars(record))]


def made_of(record: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the hash of a result, and what it was made from: the input's hash and the chain's fingerprint."""
    return str(record.get("output_sha256")), str(record.get("input_sha256")), str(record.get("chain"))
