"""A curve over trainings: its table, its law, what it says, and its picture."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glial.charts import Line, line_chart, standalone
from glial.core.files import to_json, write_atomic
from glial.evaluation.curves.power_law import FEWEST, PowerLaw, fit_power_law
from glial.evaluation.curves.trainings import SPLITS, is_better
from glial.tasks.metrics import LOWER_IS_BETTER

ROWS = "rows"


@dataclass(frozen=True)
class Point:
    """One training of a curve.

    Attributes:
        value: Number of rows, or the value of the key.
        repeat: Which repetition, from 1.
        rows: Rows that it was trained on.
        epochs: Epochs run.
        seconds: Training time.
        scores: Every metric on ``train``, ``val`` and ``test``; empty without such rows.

    Example:
        >>> Point(100, 1, 100, 5, 0.1, {"val": {"mae": 1.0}}).scores["val"]["mae"]
        1.0
    """

    value: Any
    repeat: int
    rows: int
    epochs: int
    seconds: float
    scores: dict[str, dict[str, float]]


@dataclass
class Curve:
    """Scores of trainings against a value in which they differ.

    Attributes:
        over: ``rows``, or the key of the plan.
        metric: The metric that the curve is about.
        values: All values that were asked for.
        points: The trainings that were done.

    Example:
        >>> scores = {"train": {"mae": 1.0}, "val": {"mae": 2.0}, "test": {}}
        >>> curve = Curve("train.lr", "mae", [0.1], [Point(0.1, 1, 50, 3, 0.1, scores)])
        >>> curve.table()[0]["val"], curve.best
        (2.0, 0.1)
    """

    over: str
    metric: str
    values: list[Any]
    points: list[Point] = field(default_factory=list)

    @property
    def judge(self) -> str:
        """The rows that tell: of numbers of rows ``test`` where there are any, else ``val``."""
        has_test = any(point.scores.get("test") for point in self.points)
        return "test" if self.over == ROWS and has_test else "val"

    def at(self, value: Any, split: str) -> list[float]:
        """The metric of each repetition at a value."""
        return [
            point.scores[split].get(self.metric, math.nan)
            for point in self.points
            if point.value == value and point.scores.get(split)
        ]

    def table(self) -> list[dict[str, Any]]:
        """For each value the mean metric of each split and its standard deviation."""
        found = []
        for value in self.values:
            if not any(point.value == value for point in self.points):
                continue
            row: dict[str, Any] = {"value": value}
            for split in SPLITS:
                told = self.at(value, split)
                row[split] = float(np.mean(told)) if told else None
                row[f"{split}_std"] = float(np.std(told, ddof=1)) if len(told) > 1 else None
            found.append(row | {"verdict": self.verdict(value)})
        return found

    @property
    def best(self) -> Any:
        """The value whose mean is best on the rows that tell; None where none is finite."""
        best, at_best = None, math.nan
        for value in self.values:
            told = self.at(value, self.judge)
            mean = float(np.mean(told)) if told else math.nan
            if math.isfinite(mean) and (
                math.isnan(at_best) or is_better(self.metric, mean, at_best)
            ):
                best, at_best = value, mean
        return best

    def verdict(self, value: Any) -> str:
        """What a value of a key does: ``best``, ``as good``, ``underfits`` or ``overfits``.

        Worse than the best by more than one standard error of its mean, it underfits where its
        training score is worse too, and overfits where that is as good or better. Of numbers of
        rows nothing is said.

        Args:
            value: One of the values.

        Source:
            Breiman, Friedman, Olshen and Stone 1984, Classification and regression trees,
            section 3.4.3 (the rule of one standard error).
        """
        best = self.best
        if self.over == ROWS or best is None:
            return ""
        if value == best:
            return "best"
        here, there = self.at(value, "val"), self.at(best, "val")
        mean = float(np.mean(here)) if here else math.nan
        if not math.isfinite(mean):
            return "diverges"
        error = np.std(there, ddof=1) / math.sqrt(len(there)) if len(there) > 1 else 0.0
        if abs(mean - float(np.mean(there))) <= error:
            return "as good"
        own, theirs = (float(np.mean(self.at(one, "train"))) for one in (value, best))
        return "underfits" if is_better(self.metric, theirs, own) else "overfits"

    @property
    def law(self) -> PowerLaw | None:
        """How the error falls with rows; None over a key, or with too few sizes.

        The error is the metric, or 1 less it where more is better.
        """
        if self.over != ROWS:
            return None
        told = [(point.rows, point.scores[self.judge].get(self.metric)) for point in self.points]
        known = [(rows, value) for rows, value in told if value is not None]
        errors = [value if self.metric in LOWER_IS_BETTER else 1 - value for _, value in known]
        if len({rows for rows, _ in known}) < FEWEST or not np.isfinite(errors).all():
            return None
        return None if min(errors) < 0 else fit_power_law([rows for rows, _ in known], errors)

    def sentences(self) -> list[str]:
        """What the curve says, for people."""
        if self.over != ROWS:
            told = self.best
            return [] if told is None else [f"{self.over}={told} is best on {self.judge}"]
        law = self.law
        if law is None:
            return [f"no law is fitted: it takes {FEWEST} sizes with finite scores"]
        name = self.metric if self.metric in LOWER_IS_BETTER else f"1 - {self.metric}"
        low, high = law.interval(2 * law.at)
        here, twice = law.error(law.at), law.error(2 * law.at)
        gain, least, most = law.gain(2 * law.at)
        lines = [
            f"{name} falls as {law.floor:.3g} + {law.scale:.3g} (rows / {law.at:,})"
            f"^-{law.exponent:.2f} on {self.judge}",
            f"twice the rows ({2 * law.at:,}) would bring it from {here:.3g} to {twice:.3g} "
            f"[{low:.3g}, {high:.3g}]: a gain of {gain:.3g} [{least:.3g}, {most:.3g}]",
        ]
        if least <= 0:
            lines.append("the trainings do not show that more rows would help")
        return [*lines, *self._looked_back()]

    def _looked_back(self) -> list[str]:
        """What the law without the largest size says of it, beside what was found."""
        most = max(point.rows for point in self.points)
        rest = [point for point in self.points if point.rows < most]
        law = Curve(self.over, self.metric, self.values, rest).law
        if law is None:
            return []
        told = np.mean(self.at(most, self.judge))
        found = told if self.metric in LOWER_IS_BETTER else 1 - told
        low, high = law.interval(most)
        return [
            f"fitted without the largest size it says {law.error(most):.3g} "
            f"[{low:.3g}, {high:.3g}] of it, where {found:.3g} was found"
        ]

    def to_dict(self) -> dict[str, Any]:
        """The curve as JSON."""
        law = self.law
        return {
            "over": self.over,
            "metric": self.metric,
            "judge": self.judge,
            "table": self.table(),
            "best": None if self.over == ROWS else self.best,
            "law": None if law is None else law.to_dict(),
            "says": self.sentences(),
            "points": [asdict(point) for point in self.points],
        }

    def csv(self) -> str:
        """The table as CSV text."""
        import polars as pl

        rows = [row | {"value": str(row["value"])} for row in self.table()]
        schema = {"value": pl.String, "verdict": pl.String}
        return pl.DataFrame(rows, schema_overrides=schema).write_csv()

    def svg(self) -> str:
        """The curve as a picture: a line for each split, bars of one standard deviation."""
        table = self.table()
        lines = [
            Line(
                split,
                [row["value"] for row in table if row[split] is not None],
                [row[split] for row in table if row[split] is not None],
                points=True,
                spread=[row[f"{split}_std"] or 0.0 for row in table if row[split] is not None],
            )
            for split in SPLITS
            if any(row[split] is not None for row in table)
        ]
        chart = line_chart(lines, title=self.metric, x_title=self.over, log_x=None)
        return standalone(chart)

    def write(self, folder: Path) -> None:
        """Write ``curve.json``, ``curve.csv`` and ``curve.svg``.

        Args:
            folder: Where.
        """
        write_atomic(folder / "curve.json", to_json(self.to_dict()))
        write_atomic(folder / "curve.csv", self.csv())
        write_atomic(folder / "curve.svg", self.svg())


class CurveInterrupted(KeyboardInterrupt):
    """A curve was stopped; what is done of it is in ``curve``, and in its folder.

    Attributes:
        curve: The trainings that were finished.

    Example:
        >>> CurveInterrupted(Curve("rows", "mae", [])).curve.points
        []
    """

    def __init__(self, curve: Curve) -> None:
        super().__init__("stopped")
        self.curve = curve
