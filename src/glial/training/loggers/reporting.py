"""What a training tells its loggers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glial.core.findings import Finding
from glial.core.memory import used_memory
from glial.training.loggers.background import Background
from glial.training.loggers.metric_logger import MetricLogger, Status
from glial.training.loggers.table import LOGGERS

if TYPE_CHECKING:
    from glial.training.callbacks import TrainingView

SAMPLED = "train/step_loss"


def check_loggers(names: Iterable[str]) -> None:
    """Refuse to begin where a logger is unknown, or its package is missing.

    Args:
        names: Of loggers, as in :data:`LOGGERS`.

    Raises:
        InputError: If one cannot be used.

    Example:
        >>> check_loggers([])
    """
    for name in names:
        LOGGERS.resolve(name).check()


def open_loggers(
    names: Iterable[str], folder: str | Path, *, name: str | None = None, group: str | None = None
) -> list[MetricLogger]:
    """Loggers of a folder, each beside the training: none can slow it down or stop it.

    Args:
        names: Of loggers, as in :data:`LOGGERS`.
        folder: The run's folder.
        name: What the run is called; by default as the folder.
        group: Runs that belong together.

    Raises:
        InputError: If a logger is unknown, or its package is missing.

    Example:
        >>> import tempfile
        >>> (logger,) = open_loggers(["tensorboard"], tempfile.mkdtemp())
        >>> logger.log({"train/loss": 0.5}, step=3)
        >>> logger.finish()
    """
    names = list(names)
    check_loggers(names)
    return [
        Background(one, partial(LOGGERS.resolve(one), folder, name=name, group=group))
        for one in names
    ]


class Reporter:
    """A callback that tells loggers of a training.

    Args:
        loggers: They.
        params: What the training was set to: a plan, or nested values.

    Example:
        >>> import tempfile
        >>> reporter = Reporter(open_loggers(["tensorboard"], tempfile.mkdtemp()), {"lr": 0.1})
        >>> reporter.catch_up([{"epoch": 1, "step": 9, "train_loss": 0.5}])
        >>> reporter.finish("finished", {"test": {"accuracy": 0.75}})
    """

    def __init__(self, loggers: Sequence[MetricLogger], params: Any) -> None:
        self._loggers = loggers
        self._wall, self._busy = time.monotonic(), time.process_time()
        self._step = 0
        self._open = True
        for logger in loggers:
            logger.log_params(params)

    def catch_up(self, history: Iterable[Mapping[str, float | int]]) -> None:
        """Tell of the epochs that were trained before; loggers leave out what they have.

        Args:
            history: A row an epoch.
        """
        for row in history:
            self._log(metric_names(row), int(row["step"]))

    def on_epoch_end(self, view: TrainingView) -> None:
        """Tell of an epoch, and of what the machine gave to it."""
        self._log({**metric_names(view.metrics), **self._loads()}, view.step)

    def log_losses(self, series: Iterable[tuple[int, float]]) -> None:
        """Tell of the loss of single steps.

        Args:
            series: Steps, in their order, and losses; those told before are left out.
        """
        for step, value in series:
            if step > self._step:
                self._step = step
                self._log({SAMPLED: value}, step)

    def finish(
        self,
        status: Status,
        metrics: Mapping[str, Mapping[str, float]] | None = None,
        findings: Sequence[Finding] = (),
    ) -> None:
        """Tell what the training came to, and close the loggers; a second time does nothing.

        Args:
            status: How it ended.
            metrics: Of each split.
            findings: What the doctor found.
        """
        if not self._open:
            return
        self._open = False
        final = {
            f"final/{split}/{name}": value
            for split, values in (metrics or {}).items()
            for name, value in values.items()
        }
        for logger in self._loggers:
            logger.summarize(final)
            if findings:
                logger.log_text("findings", findings_text(findings))
            logger.finish(status)

    def _log(self, values: Mapping[str, float], step: int) -> None:
        for logger in self._loggers:
            logger.log(values, step)

    def _loads(self) -> dict[str, float]:
        wall, busy = time.monotonic(), time.process_time()
        percent = 100 * (busy - self._busy) / max(1e-9, wall - self._wall)
        self._wall, self._busy = wall, busy
        return {"system/cpu_percent": percent, "system/memory_bytes": used_memory()}


def metric_names(row: Mapping[str, float | int]) -> dict[str, float]:
    """A row of the history under the names that loggers' pages are sorted by.

    Args:
        row: As in ``history.csv``.

    Example:
        >>> metric_names({"epoch": 1, "step": 9, "train_loss": 0.5, "val_roc_auc": 0.75, "lr": 0.1})
        {'epoch': 1, 'train/loss': 0.5, 'val/roc_auc': 0.75, 'lr': 0.1}
    """
    told = {name: value for name, value in row.items() if name != "step"}
    return {_grouped(name): value for name, value in told.items()}


def _grouped(name: str) -> str:
    split, _, rest = name.partition("_")
    return f"{split}/{rest}" if split in ("train", "val") and rest else name


def findings_text(findings: Sequence[Finding]) -> str:
    """Findings as a list in Markdown.

    Args:
        findings: They.

    Example:
        >>> print(findings_text([Finding("leakage", "note", "copy", {}, "It tells.", "Drop it.")]))
        - **leakage** (note) at `copy`: It tells. Drop it.
    """
    return "\n".join(
        f"- **{one.problem}** ({one.severity}){f' at `{one.where}`' if one.where else ''}: "
        f"{one.means} {one.do}"
        for one in findings
    )
