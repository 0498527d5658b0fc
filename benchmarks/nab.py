"""Anomalies of real series: scores of a recurrent network's surprise beside others', as NAB judges.

Each detector learns from the first part of a series (15 %, at most 750 steps), which is not judged,
and then scores every step of it. One threshold holds for all series, the best for each detector and
profile, as the benchmark has it; the point-wise F1 is at its best threshold too, of one for all
series and of one for each. Windows of labels are long and anomalies short, so it is low for all; a
window of which one step is told counts for that step alone.

    python benchmarks/nab.py [--seed 0] [--only nyc_taxi] [--set task.anomaly_adapts=false]

Reads the archive of the Numenta Anomaly Benchmark, from shared/data/nab.zip beside the project.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import precision_recall_curve

import glial
from glial.core.errors import InputError
from glial.data.series import SeriesColumns, find_season, read_series
from glial.evaluation.metrics.windows import PROFILES, Scored, probation, window_score
from glial.functional.tails import Largest

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "nab.zip"
LAGS = 10
Floats = NDArray[np.float64]


class Series(NamedTuple):
    """A series of the benchmark."""

    name: str
    frame: pl.DataFrame
    windows: list[tuple[int, int]]
    time: str
    season: int

    @property
    def values(self) -> Floats:
        """What was measured."""
        return self.frame["value"].to_numpy().astype(np.float64)

    @property
    def first(self) -> int:
        """Steps that are learnt from."""
        return probation(self.frame.height)


def read_archive(path: Path, only: str) -> list[Series]:
    """The series of the archive, by name; times that are not regular are left for their order."""
    found = []
    with zipfile.ZipFile(path) as archive:
        labels = json.loads(archive.read("labels/combined_windows.json"))
        for member in sorted(n for n in archive.namelist() if n.endswith(".csv") and only in n):
            frame = pl.read_csv(archive.read(member))
            stamps = frame["timestamp"].to_list()
            windows = [
                (
                    next(i for i, stamp in enumerate(stamps) if stamp >= first[:19]),
                    max(i for i, stamp in enumerate(stamps) if stamp <= last[:19]),
                )
                for first, last in labels[member.removeprefix("data/")]
            ]
            frame = frame.with_columns(step=pl.int_range(frame.height))
            found.append(Series(Path(member).stem, frame, windows, *_time_of(frame)))
    return found


def _time_of(frame: pl.DataFrame) -> tuple[str, int]:
    """The column of times that lie on a grid, and the season of the first part by it."""
    first = frame.head(probation(frame.height))
    for name in ("timestamp", "step"):
        columns = SeriesColumns(["value"], name)
        try:
            whole = read_series(frame, columns)
        except InputError:
            continue
        if len(whole.values) > 1.2 * frame.height:
            continue  # mostly gaps
        known = first["value"].to_numpy().astype(np.float64)
        return name, find_season([known], whole.frequency)[0]
    raise AssertionError("steps are always regular")


def surprise(series: Series, seed: int, changes: dict[str, Any]) -> Floats:
    """Glial's scores; NaN of the first steps."""
    frame = series.frame.select(series.time, "value")
    split = {"data.split.train": 0.8, "data.split.val": 0.2, "data.split.test": 0.0}
    run = glial.train(
        frame.head(series.first),
        task="anomaly",
        time=series.time,
        seed=seed,
        out=False,
        set={**split, "doctor.watch": False, **changes},
    )
    scores = glial.predict(run, frame)["score"].to_numpy().astype(np.float64)
    return np.asarray(scores)


def from_the_mean(series: Series) -> Floats:
    """How far from the mean of all before, beside the largest such distances so far: no network."""
    values, largest, scores = series.values, Largest(), np.full(series.frame.height, np.nan)
    for step in range(1, len(values)):
        error = abs(values[step] - values[:step].mean())
        level = largest.level()
        scores[step] = error / level if level > 0 else np.nan
        largest.see(float(error))
    return scores


def seasonal_z(series: Series) -> Floats:
    """How far the change from a season ago is from the mean of the first part's, in deviations."""
    values, season = series.values, series.season
    changes = np.full(len(values), np.nan)
    changes[season:] = values[season:] - values[:-season]
    known = changes[season : series.first]
    return np.abs(changes - known.mean()) / (known.std() + 1e-12)


def forest_of_values(series: Series, seed: int, lags: int = 1, *, whole: bool = False) -> Floats:
    """An isolation forest's scores of values, or of some steps at a time."""
    values = series.values
    rows = np.stack(
        [np.concatenate([[values[0]] * k, values[: len(values) - k]]) for k in range(lags)]
    )
    learnt = rows.T if whole else rows.T[: series.first]
    forest = IsolationForest(n_estimators=100, random_state=seed).fit(learnt)
    return np.asarray(-forest.score_samples(rows.T))


def best_f1(scores: Floats, marks: NDArray[np.bool_]) -> float:
    """The largest F1 of any threshold."""
    precision, recall, _ = precision_recall_curve(marks, scores)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


def judged(series: list[Series], scores: list[Floats]) -> str:
    """A row of the table."""
    told = [Scored(one, each.windows) for each, one in zip(series, scores, strict=True)]
    found = [window_score(told, profile) for profile in PROFILES]
    parts = []
    for each, one in zip(series, scores, strict=True):
        marks = np.zeros(len(one), dtype=bool)
        for first, last in each.windows:
            marks[first : last + 1] = True
        kept = (np.arange(len(one)) >= each.first) & ~np.isnan(one)
        parts.append((one[kept], marks[kept]))
    pooled = best_f1(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    single = np.mean([best_f1(*part) for part in parts])
    first = found[0]
    figures = " | ".join(f"{one.score:.1f}" for one in found)
    return f"{figures} | {first.found:.2f} | {first.false_alarms} | {pooled:.3f} | {single:.3f}"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    from glial.cli.arguments import set_changes

    changes = set_changes(options.set)
    series = read_archive(options.archive, options.only)
    steps = sum(each.frame.height for each in series)
    print(f"{len(series)} series, {steps:,} steps, {sum(len(s.windows) for s in series)} windows")
    print(f"| detector | {' | '.join(PROFILES)} | found | false alarms | F1 | F1 of each | s |")
    print(f"|---|{'---|' * (len(PROFILES) + 5)}")
    seed = options.seed
    detectors: dict[str, Callable[[Series], Floats]] = {
        "chance": lambda each: np.random.default_rng(seed).random(each.frame.height),
        "seasonal residual z-score": seasonal_z,
        "isolation forest, values": lambda each: forest_of_values(each, seed),
        f"isolation forest, {LAGS} steps": lambda each: forest_of_values(each, seed, LAGS),
        "isolation forest, values, sees all": lambda each: forest_of_values(each, seed, whole=True),
        f"isolation forest, {LAGS} steps, sees all": lambda each: forest_of_values(
            each, seed, LAGS, whole=True
        ),
        "distance from the mean so far": from_the_mean,
        "Glial, forecast_rnn": lambda each: surprise(each, seed, changes),
    }
    for name, detector in detectors.items():
        begin = time.monotonic()
        scores = [detector(each) for each in series]
        seconds = time.monotonic() - begin
        print(f"| {name} | {judged(series, scores)} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
