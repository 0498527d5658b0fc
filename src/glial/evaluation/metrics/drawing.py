"""How rows are drawn again, and the intervals that this gives of metrics and of differences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glial.evaluation.metrics.bootstrap import Score, interval, intervals, replicate
from glial.evaluation.metrics.weighted import Codes, Floats


@dataclass(frozen=True)
class Drawing:
    """Rows, and how they are drawn again.

    Attributes:
        num_rows: Number of rows.
        confidence: Share of the resamples that an interval holds.
        replicates: Number of resamples; 0 for no intervals.
        seed: Of the resamples.
        weight: Weight of each row, [row].
        clusters: What is drawn together, [row].
        kind: What is drawn.

    Example:
        >>> drawing = Drawing(3, 0.95, 100, clusters=np.array([0, 0, 1]), kind="groups of patient")
        >>> drawing.units, drawing.only(np.array([0, 1])).why_none()
        (2, 'one of the groups of patient alone says nothing')
    """

    num_rows: int
    confidence: float = 0.95
    replicates: int = 1000
    seed: int = 0
    weight: Floats | None = None
    clusters: Codes | None = None
    kind: str = "rows"

    @property
    def units(self) -> int:
        """How many things are drawn from."""
        return self.num_rows if self.clusters is None else len(np.unique(self.clusters))

    def only(self, rows: Codes) -> Drawing:
        """The same of some rows."""
        return replace(
            self,
            num_rows=len(rows),
            weight=None if self.weight is None else self.weight[rows],
            clusters=None if self.clusters is None else self.clusters[rows],
        )

    def options(self) -> dict[str, Any]:
        """What functions that draw by themselves take."""
        return {
            "weight": self.weight,
            "clusters": self.clusters,
            "confidence": self.confidence,
            "replicates": self.replicates if self.units > 1 else 0,
            "seed": self.seed,
        }

    def drawn(self, score: Score | None) -> dict[str, Floats]:
        """The values of metrics over the resamples; nothing where there are none."""
        if score is None or self.units < 2:
            return {}
        return replicate(
            score,
            self.num_rows,
            self.replicates,
            self.seed,
            clusters=self.clusters,
            weight=self.weight,
        )

    def intervals(
        self, result: dict[str, Any], score: Score | None, base: Score | None
    ) -> dict[str, Any]:
        """Intervals of metrics, and of how far they lie above the baseline's.

        Args:
            result: ``metrics`` and ``baseline``.
            score: The metrics as functions of weights; None where they are not.
            base: The baseline's.

        Returns:
            ``intervals``, ``differences`` and ``bootstrap``, as `glial.evaluate` tells them.
        """
        values, trivial = self.drawn(score), self.drawn(base)
        values = {name: values[name] for name in result["metrics"] if name in values}
        differences = {
            name: {
                "value": result["metrics"][name] - result["baseline"][name],
                "interval": list(interval(values[name] - trivial[name], self.confidence)),
            }
            for name in values
            if name in trivial
        }
        told = {
            "confidence": self.confidence,
            "replicates": self.replicates if values else 0,
            "resampled": self.kind,
            "units": self.units,
            "note": None if values else self.why_none(),
        }
        ends = intervals(values, self.confidence)
        return {"intervals": ends, "differences": differences, "bootstrap": told}

    def why_none(self) -> str:
        """Why there are no intervals."""
        if not self.replicates:
            return "asked for none"
        if self.units < 2:
            return f"one of the {self.kind} alone says nothing"
        return f"the {self.kind} are not answers of their own"
