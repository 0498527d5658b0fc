"""The way of the task ``cluster``: which rows belong together, and how good that is."""

from __future__ import annotations

from typing import Any

import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.seeds import torch_generator
from glial.data import read, to_kind_of
from glial.data.sources import is_of_files
from glial.models.clusters import Clusters
from glial.runs.plan import Plan
from glial.runs.prediction import notice_differences, read_for
from glial.runs.preparation import weights_of
from glial.runs.request import Request
from glial.runs.run import Run
from glial.runs.unlabelled.judging import in_parts
from glial.runs.unlabelled.preparation import batch_of, rows_of
from glial.runs.unlabelled.ready import UnlabelledReady
from glial.runs.unlabelled.ready import make_ready as make_unlabelled_ready
from glial.runs.ways import Judged, Way
from glial.tasks.clustering import shape_scores


class ClusteringReady(UnlabelledReady):
    """Everything before the first step of a network that puts rows into clusters.

    Example:
        >>> from glial.runs.request import make_request
        >>> request = make_request("iris", {"task.name": "cluster"})
        >>> make_ready(request, request.plan).task.name
        'cluster'
    """

    def judged(self, run: Run, split: str) -> Judged | None:
        """How good the clusters of ``val`` or ``test`` are."""
        frame = getattr(self.rows.tables, split)
        return judged(run, frame, baseline=split == "test") if frame.height else None


def make_ready(request: Request, plan: Plan) -> ClusteringReady:
    """Rows and network of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    found = make_unlabelled_ready(request, plan)
    return ClusteringReady(found.request, found.rows, found.network, found.sizes)


def clustered(run: Run, frame: pl.DataFrame) -> Tensor:
    """The cluster of each row and the network's figures, in the task's terms.

    Args:
        run: The run.
        frame: The rows.

    Raises:
        InputError: If a column is missing, or the network puts nothing into clusters.
    """
    task: Any = run.decoder
    network: Any = run.model
    if not isinstance(run.model, Clusters):
        raise InputError(
            f"the model {run.plan.model['name']} puts nothing into clusters",
            expected="a network of the task cluster",
            got=f"a run of {run.plan.model['name']}",
            do="glial train SOURCE --task cluster",
        )

    def told(rows: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        figures = network.measure(*rows, generator=generator)
        columns = [network.assign(*rows), *(figures[name] for name in task.figures)]
        return torch.stack([column.double() for column in columns], dim=1)

    return in_parts(run, frame, told)


def judged(run: Run, frame: pl.DataFrame, *, baseline: bool) -> Judged:
    """How good the clusters of rows are, beside the same clusters dealt out at random.

    Args:
        run: The run.
        frame: The rows.
        baseline: Whether those are judged too.
    """
    weight = weights_of(frame, run.plan.data.weight)
    task: Any = run.decoder
    outputs = clustered(run, frame).cpu()
    batch = batch_of(run.plan, run.encoding, task, frame)
    vectors = rows_of(run.encoding, task, batch)[0].flatten(1)
    codes = outputs[:, 0].long()
    metrics = {**task.scores(outputs, frame, weight), **shape_scores(vectors, codes)}
    if not baseline:
        return Judged(metrics)
    order = torch.randperm(len(codes), generator=torch_generator(0, "clusters at random"))
    dealt = outputs.clone()
    dealt[:, 0] = outputs[order, 0]
    dealt[:, 1:] = task.trivial_outputs(len(codes))[:, 1:]
    trivial = {**task.scores(dealt, frame, weight), **shape_scores(vectors, codes[order])}
    return Judged(metrics, {name: value for name, value in trivial.items() if value == value})


def _predict(run: Run, source: Any) -> Any:
    """The cluster of each row, and its figures."""
    frame, paths = read_for(run, source)
    if frame.height == 0:
        raise InputError("there are no rows to predict", expected="at least one row", got="none")
    notice_differences(run, frame)
    table = run.decoder.decode(clustered(run, frame).cpu(), frame).frame()
    return to_kind_of(table, source) if paths is None else pl.DataFrame([paths, *table])


def _evaluate(run: Run, source: Any) -> dict[str, Any]:
    """``metrics``, ``baseline`` and ``details`` of a run on a source."""
    frame = read(source, run.plan.data.names if is_of_files(source) else None)
    if frame.height == 0:
        raise InputError("there are no rows to judge", expected="at least one row", got="none")
    notice_differences(run, frame)
    found = judged(run, frame, baseline=True)
    return {"metrics": found.metrics, "baseline": found.baseline, "details": {}}


CLUSTERING_WAY = Way(make_ready, _predict, _evaluate)
