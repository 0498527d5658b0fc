"""What a finished run decides by, fitted anew on rows that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.core.files import read_json, to_json, write_atomic
from glial.core.settings import override, read_yaml, write_yaml
from glial.runs.loading import load
from glial.runs.plan import Plan
from glial.runs.prediction import Answered, answer
from glial.runs.preparation import weights_of
from glial.runs.rows import read_rows, read_tables
from glial.runs.run import Run
from glial.runs.uncertainty import TASKS_OF_ROWS
from glial.tasks import Task, check_decisions, load_task
from glial.tasks.fitted import halves
from glial.tasks.settings import TaskSettings
from glial.tasks.task import undecided

REFITTED = tuple(
    f"task.{name}"
    for name in ("calibration", "threshold", "coverage", "conformal", "refuse", "risk")
)


@dataclass(frozen=True)
class Refitted:
    """A run that decides otherwise, and what that changes.

    Attributes:
        run: The run, its decoder fitted on all rows.
        rows: How many these are.
        before: What the run said of the rows that judge.
        after: What it says now, by a decoder that these rows did not choose where ``held_out``.
        held_out: Whether one half of the rows judges what was fitted on the other; where they are
            too few for that, all are fitted and judge.

    Example:
        >>> import glial
        >>> run = glial.train("digits", model="linear", epochs=3, out=False)
        >>> found = calibrate(run, "digits", set={"task.calibration": "temperature"})
        >>> found.metrics["after"]["log_loss"] < found.metrics["before"]["log_loss"]
        True
    """

    run: Run
    rows: int
    before: Answered
    after: Answered
    held_out: bool

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Every metric of the task, ``before`` and ``after``."""
        return {
            name: said.run.decoder.scores(said.outputs, said.frame, said.weight)
            for name, said in (("before", self.before), ("after", self.after))
        }


def calibrate(
    run: Run | str | Path, source: Any, *, set: Mapping[str, Any] | None = None
) -> Refitted:
    """Fit calibration, thresholds, sets, intervals and refusal anew; nothing is trained.

    The folder's ``decoding.json`` and ``plan.yaml`` are written anew; its ``metrics.json`` keeps
    the figures of training.

    Args:
        run: The run, of one network or several, or its folder.
        source: Rows with their targets that the network was not trained on. Of the table that it
            was trained on, its validation rows are taken.
        set: Dotted keys and values: ``task.calibration``, ``threshold``, ``coverage``,
            ``conformal``, ``refuse`` and ``risk``; others stay as the plan has them.

    Returns:
        The run as it decides now, and figures before and after.

    Raises:
        InputError: If the rows do not suit the run, or one thing cannot be fitted on them; then
            nothing is changed.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> calibrate(run, "iris", set={"task.coverage": 0.8}).run.decoder.sets.coverage
        0.8
    """
    run = run if isinstance(run, Run) else load(run)
    changes = dict(set or {})
    plan = Plan.from_values(override(run.plan.to_values(), _checked(run, changes)))
    check_decisions(plan.task)
    found = _unlearnt(run, answer(run, source), source)
    decoder = _fitted(run.decoder, plan.task, found, np.arange(found.frame.height))
    fitted, judged = halves(found.frame.height)
    try:
        half, held_out = _fitted(run.decoder, plan.task, found, fitted), True
    except InputError:
        half, held_out, judged = decoder, False, np.arange(found.frame.height)
    new = replace(run, plan=plan, decoder=decoder)
    if run.path is not None:
        _write(run.path, decoder, changes)
    before, after = (
        _some(replace(found, run=replace(run, decoder=one)), judged) for one in (run.decoder, half)
    )
    return Refitted(new, found.frame.height, before, after, held_out)


def _checked(run: Run, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes, if they suit the run."""
    if run.task not in TASKS_OF_ROWS:
        raise InputError(
            f"a run of the task {run.task} has nothing that is fitted on its probabilities",
            expected=", ".join(TASKS_OF_ROWS),
            got=run.task,
        )
    wrong = [key for key in changes if key not in REFITTED]
    if wrong:
        raise InputError(
            f"{wrong[0]} cannot be changed after training",
            expected=f"among {', '.join(REFITTED)}",
            got=wrong[0],
            do="leave it out, or train with it",
        )
    if not changes and not run.plan.task.fitted_later:
        raise InputError(
            "there is nothing to fit",
            expected=f"among {', '.join(REFITTED)}",
            got="none, and none in the run's plan",
            do="say what, such as --set task.calibration=temperature",
        )
    return changes


def _unlearnt(run: Run, found: Answered, source: Any) -> Answered:
    """The rows, or, where they are those of the training, the ones that validated it."""
    environment = None if run.path is None else run.path / "environment.json"
    if environment is None or not environment.exists():
        return found
    if run.takes_batches or run.plan.data.stream == "always":
        return found
    try:
        rows = read_rows(run.plan, source)
    except InputError:  # of other columns than training had, such as none of groups
        return found
    if read_json(environment).get("data") != rows.fingerprint:
        return found
    frame = pl.DataFrame() if run.members else read_tables(run.plan, rows)[1].val
    if not len(frame):
        raise InputError(
            "the run was trained on these rows",
            expected="rows that no network was trained on",
            got="the rows of its training" + (", by folds" if run.members else ""),
            do="keep rows back before training, and give these",
        )
    weight = weights_of(frame, run.plan.data.weight)
    return Answered(run, frame, run.outputs(frame), weight)


def _fitted(task: Task, settings: TaskSettings, found: Answered, rows: NDArray[np.int64]) -> Task:
    """A task that decides by these settings, fitted on some of the rows."""
    start = settings.threshold if isinstance(settings.threshold, float) else 0.5
    state = {key: value for key, value in undecided(task).state().items() if key != "noise"}
    if settings.threshold is not None:
        state["thresholds"] = [start] * task.num_outputs
    fitted = load_task(state, settings)
    some = _some(found, rows)
    fitted.tune(some.outputs, some.frame, some.weight)
    return fitted


def _some(found: Answered, rows: NDArray[np.int64]) -> Answered:
    weight = None if found.weight is None else found.weight[rows]
    return Answered(found.run, found.frame[rows], found.outputs[rows], weight)


def _write(folder: Path, decoder: Task, changes: dict[str, Any]) -> None:
    """Both files, in an order in which a run that was cut off between them still opens."""
    plan = write_yaml(override(read_yaml(folder / "plan.yaml"), changes))
    files = [("decoding.json", to_json(decoder.state())), ("plan.yaml", plan)]
    # A plan must not ask for thresholds that are not there.
    for name, content in files if decoder.thresholds is not None else files[::-1]:
        write_atomic(folder / name, content)
