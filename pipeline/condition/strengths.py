"""How strongly a stage is to restore an image of a given condition: ``strength: auto``.

A table holds a stage's best strengths at the corners of a grid over some measures, between which it interpolates.
``benchmarks/strengths.py`` computes the tables in ``strengths.yaml`` from degraded photos.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field

from pipeline.condition.condition import Condition
from pipeline.hashing import sha256_of
from pipeline.pixels import Pixels
from stages.stage import LearnedStageConfig, StageConfig

TABLES = Path(__file__).parent / "strengths.yaml"
# Which table serves stages that have none of their own, by what they do.
_BY_PURPOSE = {
    "denoise": "denoise_blind",
    "deblur": "deblur",
    "deblur, denoise": "deblur",
    "upscale": "upscale_x2",
    "sharpen": "unsharp_mask",
}
_STEPS = 20  # between 0 and 1, so that images alike are restored alike
_LEAST = 0.1  # not worth computing a stage for


class StrengthTable(BaseModel):
    """Strengths at the corners of a grid.

    Attributes:
        axes: Values of each measure, ascending; beyond the ends, those of the ends hold.
        values: Strengths in row-major order: those along the last measure are neighbours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    axes: dict[str, tuple[float, ...]] = Field(min_length=1)
    values: tuple[float, ...]

    def corners(self, condition: Condition) -> Pixels:
        """Return the share of each corner in the strength of a condition; together 1."""
        shares = np.ones(1)
        for measure, knots in self.axes.items():
            along = [np.interp(getattr(condition, measure), knots, corner) for corner in np.eye(len(knots))]
            shares = np.outer(shares, along).ravel()
        return shares

    def strength(self, condition: Condition) -> float:
        """Return the strength, 0 to 1, in steps of 0.05; what is below 0.1 becomes 0."""
        exact = float(self.corners(condition) @ np.array(self.values))
        return round(exact * _STEPS) / _STEPS if exact >= _LEAST else 0.0


@cache
def load_tables(path: Path = TABLES) -> dict[str, StrengthTable]:
    """Read all tables: by the name of the weights, or of the stage where it has none."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: StrengthTable.model_validate(table) for name, table in content.items()}


@cache
def tables_sha256() -> str:
    """Return the hash of the file of all tables."""
    return sha256_of(TABLES)


def table_of(stage: StageConfig) -> StrengthTable | None:
    """Return the table of a stage's weights, of the stage, or else of what it is for; None if there is none."""
    purpose = _BY_PURPOSE.get(stage.summary.partition(":")[0], "")
    tables = load_tables()
    return next((tables[name] for name in (name_of(stage), purpose) if name in tables), None)


def name_of(stage: StageConfig) -> str:
    """Return under which name a stage's own table is stored."""
    return Path(stage.weights).stem if isinstance(stage, LearnedStageConfig) and stage.weights else stage.stage
