"""A run's training told to loggers, and plans that differ in their loggers alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glial.core.errors import InputError
from glial.core.settings import flat, override
from glial.doctor.evidence import Evidence
from glial.runs.plan import Plan
from glial.runs.run import MEMBERS, Run
from glial.training import TrainingView
from glial.training.loggers import Reporter, check_loggers, open_loggers

REPORT_TO = "train.report_to"
EVERY_SECONDS = 1.0


def check_reporting(plan: Plan, folder: Path | None) -> None:
    """Refuse to begin where a logger of the plan cannot be used.

    Args:
        plan: The plan.
        folder: The run's folder; None keeps the run in memory.

    Raises:
        InputError: If a package is missing, or there is no folder for what is logged.

    Example:
        >>> check_reporting(Plan(), None)
    """
    if plan.train.report_to and folder is None:
        raise InputError(
            "a run kept in memory cannot be reported",
            expected="a folder for the run, where loggers write",
            got=f"{REPORT_TO}: {', '.join(plan.train.report_to)}, and no folder",
            do=f"give a folder with out=, or leave {REPORT_TO} out",
        )
    check_loggers(plan.train.report_to)


def same_but_for_loggers(asked: Mapping[str, Any], others: Mapping[str, Any] | None) -> bool:
    """Whether two plans ask for the same training, whoever is told of it.

    Args:
        asked: Nested keys that were set.
        others: Those of the other; None of none.

    Example:
        >>> same_but_for_loggers({"train": {"report_to": ["wandb"], "lr": 1}}, {"train": {"lr": 1}})
        True
    """
    return others is not None and without_loggers(asked) == without_loggers(others)


def without_loggers(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys of a plan, without the one that names its loggers.

    Args:
        asked: Nested keys that were set.

    Example:
        >>> without_loggers({"train": {"report_to": ["wandb"]}})
        {}
    """
    keys = flat(dict(asked))
    return {key: value for key, value in keys.items() if key != REPORT_TO and value != {}}


def with_loggers_of(plan: Plan, asked: Plan) -> Plan:
    """A plan with the loggers of another.

    Args:
        plan: The plan.
        asked: The other.

    Example:
        >>> asked = Plan.from_values({"train": {"report_to": "tensorboard"}})
        >>> with_loggers_of(Plan(), asked).train.report_to
        ['tensorboard']
    """
    if plan.train.report_to == asked.train.report_to:
        return plan
    return Plan.from_values(override(plan.to_values(), {REPORT_TO: asked.train.report_to}))


class RunReport:
    """A callback that tells the plan's loggers of a run's training.

    Args:
        run: The run, with its folder.
        evidence: What the doctor saw of the training until now.

    Example:
        >>> import tempfile
        >>> import glial
        >>> options = {"out": Path(tempfile.mkdtemp()), "set": {"train.report_to": "tensorboard"}}
        >>> run = glial.train("iris", model="linear", epochs=2, **options)
        >>> len(list((run.path / "tensorboard").iterdir()))
        1
    """

    def __init__(self, run: Run, evidence: Callable[[], Evidence | None]) -> None:
        folder = Path(str(run.path)).resolve()
        name, group = folder.name, None
        if folder.parent.name == MEMBERS:
            group = folder.parents[1].name
            name = f"{group}/{folder.name}"
        size = sum(parameter.numel() for parameter in run.model.parameters())
        params = flat(run.plan.to_values()) | {"model.parameters": size, "task": run.task}
        loggers = open_loggers(run.plan.train.report_to, folder, name=name, group=group)
        self._evidence = evidence
        self._next_look = 0.0
        self._reporter = Reporter(loggers, params)

    def catch_up(self, history: list[dict[str, float | int]]) -> None:
        """Tell of the epochs before, for loggers that do not know of them.

        Args:
            history: A row an epoch.
        """
        self._reporter.catch_up(history)

    def on_epoch_end(self, view: TrainingView) -> None:
        """Tell of an epoch, and now and then of single steps."""
        self._reporter.on_epoch_end(view)
        if time.monotonic() >= self._next_look:
            self._tell_losses()
            self._next_look = time.monotonic() + EVERY_SECONDS

    def conclude(self, run: Run) -> None:
        """Tell what the run came to.

        Args:
            run: The run.
        """
        self._tell_losses()
        status = "interrupted" if run.status == "interrupted" else "finished"
        self._reporter.finish(status, run.metrics, run.findings)  # type: ignore[arg-type]

    def fail(self) -> None:
        """Tell that the training ended by an error, where it was not concluded."""
        self._reporter.finish("failed")

    def _tell_losses(self) -> None:
        evidence = self._evidence()
        if evidence is not None and evidence.losses:
            self._reporter.log_losses(evidence.losses[0].value)


@contextmanager
def reporting(run: Run, evidence: Callable[[], Evidence | None]) -> Iterator[list[RunReport]]:
    """What tells of a run's training: nobody, or one callback; its loggers are closed in any case.

    Args:
        run: The run.
        evidence: What the doctor saw of the training until now.
    """
    reports = [RunReport(run, evidence)] if run.plan.train.report_to else []
    try:
        yield reports
    finally:
        for report in reports:
            report.fail()
