"""Runs side by side: their figures, and the keys of the plan in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glial.core.errors import InputError
from glial.core.files import read_json
from glial.core.settings import read_yaml
from glial.runs.loading import check_run_folder
from glial.runs.reporting import without_loggers


def compare(runs: Sequence[str | Path]) -> dict[str, Any]:
    """Figures of several runs and what set them apart; no network is loaded.

    Args:
        runs: Folders of runs.

    Returns:
        ``runs``: for each its folder, task, model, metrics, epochs and seconds;
        ``differences``: dotted key of the plan to one value a run, in the same order.

    Raises:
        InputError: If a folder is not a finished run, or fewer than two are given.

    Example:
        >>> import glial, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("linear", "neuron"):
        ...     _ = glial.train("line", model=name, epochs=1, out=folder / name)
        >>> compare([folder / "linear", folder / "neuron"])["differences"]["model.name"]
        ['linear', 'neuron']
    """
    if len(runs) < 2:
        raise InputError(
            "there is nothing to compare",
            expected="two runs or more",
            got=str(len(runs)),
            do="name several run folders",
        )
    plans, rows = [], []
    for path in map(Path, runs):
        check_run_folder(path)
        plan, figures = read_yaml(path / "plan.yaml"), read_json(path / "metrics.json")
        plans.append(without_loggers(plan))
        rows.append(
            {
                "run": str(path),
                "task": plans[-1].get("task.name"),
                "model": plans[-1].get("model.name"),
                **{key: figures.get(key) for key in ("metrics", "epochs", "seconds", "status")},
            }
        )
    keys = list(dict.fromkeys(key for plan in plans for key in plan))
    differences = {key: [plan.get(key) for plan in plans] for key in keys}
    return {
        "runs": rows,
        "differences": {
            key: values
            for key, values in differences.items()
            if any(value != values[0] for value in values)
        },
    }
