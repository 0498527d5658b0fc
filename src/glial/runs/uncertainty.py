"""How unsure a run is of rows: by its members, by snapshots of its training, or by its dropout."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.core.errors import InputError, unknown_name
from glial.core.progress import share_logger
from glial.core.seeds import seeded
from glial.nn.dropping import dropping, dropping_modules
from glial.runs.run import Run
from glial.runs.ways import TABLE, WAYS, way_of
from glial.tasks import Task
from glial.tasks.regression import Regression
from glial.tasks.uncertainty import split_members, uncertainty
from glial.training.snapshots import Weights, load_snapshots

logger = logging.getLogger(__name__)

KINDS = ("members", "dropout", "snapshots")
TASKS_OF_ROWS = ("classification", "multilabel", "regression")
DRAWS = 30
Votes = list[tuple[Task, Tensor]]


def check_doubts(run: Run, kind: str | None, draws: int | None) -> None:
    """Refuse a measure of doubt that a run cannot give.

    Args:
        run: The run.
        kind: What is asked for.
        draws: How often dropout is to be drawn.

    Raises:
        InputError: If the run, or what it was trained with, has none.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="tabular", epochs=1, out=False)
        >>> check_doubts(run, "members", None)
    """
    if kind is None or kind not in KINDS:
        raise unknown_name("source of uncertainty", str(kind), KINDS)
    if draws is not None and (kind != "dropout" or draws < 2):
        raise InputError(
            "draws are how often dropout is drawn",
            expected="at least 2 draws, with uncertainty dropout",
            got=f"{draws} draws, with uncertainty {kind}",
            do="leave draws out, or ask for dropout",
        )
    if run.task not in TASKS_OF_ROWS or way_of(run) is not WAYS.resolve(TABLE):
        raise InputError(
            f"the uncertainty of rows is not known for this run of the task {run.task}",
            expected=f"{', '.join(TASKS_OF_ROWS)} of the rows of a table, images, sounds or texts",
            got=f"a run of {run.sizes.get('source', run.task)}",
        )
    if kind == "dropout":
        for one in run.members or [run]:
            if not dropping_modules(one.model):
                raise _none_of("dropout", f"a network {one.plan.model['name']} without any", _DROP)
    if kind == "snapshots" and not all(snapshots_of(one) for one in run.members or [run]):
        raise _none_of("snapshots", "none", "train with --set train.snapshots=5")


_DROP = "train with --set model.dropout=0.1, or ask for members or snapshots"


def _none_of(what: str, got: str, do: str) -> InputError:
    return InputError(f"this run has no {what} to tell its doubt by", expected=what, got=got, do=do)


def doubts(
    run: Run, frame: pl.DataFrame, kind: str, draws: int | None = None
) -> dict[str, NDArray[np.float64]]:
    """How unsure a run is of each row.

    Args:
        run: The run; `check_doubts` refuses those that cannot tell.
        frame: The rows.
        kind: ``members``: networks of several, or members of a ``tabular`` network; ``snapshots``:
            weights at several moments of training (``train.snapshots``); ``dropout``: the network
            with its dropout on, drawn with the plan's seed.
        draws: How often dropout is drawn.

    Returns:
        For classes ``uncertainty``, the entropy of the mean in nats, which is the sum of
        ``uncertainty_data``, the mean entropy, and ``uncertainty_model``, how far they differ. For
        numbers standard deviations, whose squares add up; ``uncertainty_data`` is the root mean
        squared error on the validation rows.

    Raises:
        InputError: If there is one network only.

    Example:
        >>> import glial
        >>> from glial.data import read
        >>> run = glial.train("iris", model="tabular", epochs=1, out=False)
        >>> list(doubts(run, read("iris"), "members"))
        ['uncertainty', 'uncertainty_data', 'uncertainty_model']
    """
    found = {"members": _of_members, "snapshots": _of_snapshots}
    votes = _of_draws(run, frame, draws or DRAWS) if kind == "dropout" else found[kind](run, frame)
    if len(split_members(votes)) < 2:
        raise _none_of(
            kind if kind == "snapshots" else "members",
            "one network",
            "train with --folds 5, model=tabular, or --set train.snapshots=5",
        )
    decoder: Any = run.decoder
    if isinstance(decoder, Regression) and decoder.noise is None:
        logger.warning("the run does not know how large its errors are: uncertainty_data is 0")
    return uncertainty(run.decoder, votes)


def _of_members(run: Run, frame: pl.DataFrame) -> Votes:
    return run.votes(frame)


def _of_snapshots(run: Run, frame: pl.DataFrame) -> Votes:
    return [
        (one.decoder, replace(one, model=network).outputs(frame, notice=False))
        for one in run.members or [run]
        for network in _networks(one)
    ]


def _networks(run: Run) -> Iterator[nn.Module]:
    """The network of a run with the weights of each snapshot; the run's own is left as it is."""
    network = copy.deepcopy(run.model)
    for weights in snapshots_of(run):
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(
                f"a snapshot of {run.path} does not fit its model",
                expected="weights that were kept while it was trained",
                got=" ".join(str(error).split())[:300],
                do="a file was changed: restore it, or train again",
            ) from error
        yield network


def snapshots_of(run: Run) -> list[Weights]:
    """A network's weights at moments of its training; none where the plan kept none.

    Args:
        run: The run of one network.

    Example:
        >>> import glial
        >>> snapshots_of(glial.train("iris", model="linear", epochs=1, out=False))
        []
    """
    return run.snapshots if run.path is None else load_snapshots(run.path / "checkpoints")


def _of_draws(run: Run, frame: pl.DataFrame, draws: int) -> Votes:
    votes: Votes = []
    tell = share_logger(logger, "drawing dropout")
    for one in run.members or [run]:
        for number in range(draws):
            tell(number / draws)
            with seeded(run.plan.train.seed, "dropout of a prediction", number):
                votes.append((one.decoder, one.outputs(frame, notice=False, mode=dropping)))
    return votes
