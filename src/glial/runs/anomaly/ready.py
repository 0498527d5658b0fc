"""Everything before the first step of a network that learns normal rows."""

from __future__ import annotations

from typing import Any

from torch import nn

from glial.core.errors import InputError
from glial.data import Encoding
from glial.data.batches import Batch
from glial.runs.anomaly.judging import fit_threshold, judged
from glial.runs.plan import Plan
from glial.runs.request import Request
from glial.runs.run import Run
from glial.runs.unlabelled.ready import UnlabelledReady
from glial.runs.unlabelled.ready import make_ready as make_unlabelled_ready
from glial.runs.ways import Judged
from glial.tasks.unlabelled import Generation


class AnomalyReady(UnlabelledReady):
    """Everything before the first step on normal rows; marked anomalies are held for judging."""

    @staticmethod
    def completed(
        network: nn.Module, encoding: Encoding, task: Generation, rows: Batch
    ) -> Generation:
        """The task with the columns that scores are told for: those of numbers."""
        found: Any = task
        numbers, categories, tensors = encoding.origins
        found.columns = list(dict.fromkeys(numbers)) if not categories and not tensors else []
        return found  # type: ignore[no-any-return]

    def judged(self, run: Run, split: str) -> Judged | None:
        """How right scores are; the threshold is fitted before ``val`` is judged."""
        tables = self.rows.tables
        if split == "val":
            fit_threshold(run, tables.train, tables.val)
        frame = getattr(tables, split)
        return judged(run, frame, baseline=split == "test") if frame.height else None


def make_ready(request: Request, plan: Plan) -> UnlabelledReady:
    """Rows and network of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    ready = make_unlabelled_ready(request, plan, AnomalyReady)
    task: Any = ready.task
    if plan.task.anomaly_threshold == "labels":
        tables = ready.rows.tables
        if not any(task.marked(frame).any() for frame in (tables.train, tables.val)):
            raise InputError(
                "a threshold cannot be fitted to known anomalies where there are none",
                expected="marked rows among those for training and validation",
                got="none",
                do="set task.anomaly_threshold=quantile",
            )
    return ready
