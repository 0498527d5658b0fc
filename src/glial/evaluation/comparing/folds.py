"""Runs whose networks were trained for the same folds, tested on what each fold's rows say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from glial.core.files import read_json
from glial.core.settings import flat, read_yaml
from glial.evaluation.comparing.paired import Floats, corrected_resampled_t
from glial.runs.run import MEMBERS


def pairs_of(count: int, with_first: bool = False) -> list[tuple[int, int]]:
    """The pairs of so many things, or those of each with the first.

    Example:
        >>> pairs_of(3), pairs_of(3, with_first=True)
        ([(0, 1), (0, 2), (1, 2)], [(0, 1), (0, 2)])
    """
    pairs = combinations(range(count), 2)
    return [pair for pair in pairs if pair[0] == 0 or not with_first]


def compare_folds(runs: Sequence[str | Path], *, with_first: bool = False) -> list[dict[str, Any]]:
    """Runs of networks for the same folds, tested on what each fold's validation rows say.

    Args:
        runs: Folders of runs.
        with_first: Whether each is compared with the first alone.

    Returns:
        For each pair of runs whose folds hold the same rows ``first``, ``second``, ``folds`` and
        ``metrics``: metric to the mean difference over folds and the ``statistic`` and
        ``p_value`` of :func:`glial.evaluation.corrected_resampled_t`, uncorrected for several
        pairs. Folds by time, which train on ever more rows, are left out.

    Example:
        >>> compare_folds([])
        []
    """
    told = [_folds_of(Path(run)) for run in runs]
    found = []
    for i, j in pairs_of(len(runs), with_first):
        first, second = told[i], told[j]
        if first is None or second is None or first[0] != second[0]:
            continue
        both = [name for name in first[1] if name in second[1]]
        metrics = {}
        for name in both:
            differences = first[1][name] - second[1][name]
            if np.isfinite(differences).all():
                tested = corrected_resampled_t(differences, 1 / len(differences))
                metrics[name] = {"difference": float(differences.mean()), **tested.to_dict()}
        folds = len(next(iter(first[1].values()), []))
        pair = {"first": str(runs[i]), "second": str(runs[j]), "folds": folds}
        found.append({**pair, "metrics": metrics})
    return found


def _folds_of(folder: Path) -> tuple[dict[str, Any], dict[str, Floats]] | None:
    """What says which rows a run's folds hold, and each validation metric, [fold]."""
    figures, plan = read_json(folder / "metrics.json"), flat(read_yaml(folder / "plan.yaml"))
    members = figures.get(MEMBERS) or []
    folds = plan.get("data.split.folds")
    whole = folds is not None and len(members) == folds and figures.get("status") == "finished"
    if not whole or plan.get("data.split.time") is not None:
        return None
    environment = read_json(folder / "environment.json")
    keys = [key for key in plan if key.startswith("data.split.")]
    same = {key: plan.get(key) for key in [*keys, "data.target", "task.name", "train.seed"]}
    same["rows"] = environment.get("data")
    scores = [member["metrics"].get("val", {}) for member in members]
    names = [name for name in scores[0] if all(one.get(name) is not None for one in scores)]
    return same, {name: np.array([one[name] for one in scores], dtype=float) for name in names}
