"""Train, and heal what was trained: a run whose plan was mended where that helps."""

from __future__ import annotations

import copy
import inspect
import signal as signals
import tempfile
import time as clock
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

from torch import nn

from glial.core.errors import InputError
from glial.core.files import cannot_write, folder_lock, read_json, to_json, write_atomic
from glial.core.settings import override
from glial.healing.account import DEFAULT_BUDGET, check_budget
from glial.healing.ledger import Healing
from glial.healing.plans import PlanPatient
from glial.healing.search import heal as heal_patient
from glial.runs import Plan, Run, TrainingInterrupted
from glial.runs import train as train_plain
from glial.runs.run import ENVIRONMENT, HEALING, MEMBERS
from glial.tasks.task import Loss
from glial.training import Callback

CONTROL = "control"  # in a healed run, the folder of the run as it was before


class TrainOptions(TypedDict, total=False):
    """What :func:`glial.runs.train` takes, beside the source and its target."""

    task: str | None
    model: str | nn.Module | None
    loss: Loss | str | None
    epochs: int | None
    time_limit: float | None
    val: Any
    test: Any
    group: str | None
    time: str | None
    folds: int | None
    weight: str | None
    seed: int | None
    out: str | Path | bool | None
    resume: bool
    set: Mapping[str, Any] | None
    callbacks: Sequence[Callback]


def train(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    heal: bool = False,
    budget: float = DEFAULT_BUDGET,
    **options: Unpack[TrainOptions],
) -> Run:
    """Train a network, and heal the run where the doctor finds something wrong with it.

    Healing changes keys of the plan, trains from scratch beside the unchanged plan, and keeps a
    change only where it helps: see :func:`glial.healing.heal`. The run is then that of the changed
    plan, and its folder holds the run as it was under ``control``. Callbacks see the first
    training alone.

    Args:
        source: As for :func:`glial.runs.train`.
        target: The column to predict, or several.
        heal: Whether it is healed.
        budget: Most trainings in all, the first one among them.
        options: All that :func:`glial.runs.train` takes: ``task``, ``model``, ``loss``, ``epochs``,
            ``time_limit``, ``val``, ``test``, ``group``, ``time``, ``folds``, ``weight``, ``seed``,
            ``out``, ``resume``, ``set`` and ``callbacks``.

    Returns:
        The run; ``run.healing`` says what was tried and kept.

    Raises:
        InputError: If the data, the plan, the folder or the budget cannot be used.
        TrainingInterrupted: If Ctrl-C or SIGTERM ended it; its ``run`` is usable, and what was
            found until then is kept.

    Example:
        >>> changes = {"model.name": "linear", "train.epochs": 20, "train.lr": 1e-7}
        >>> run = train("iris", out=False, set=changes, heal=True)
        >>> run.healing["set"], run.plan.train.lr > 1e-3
        ({'train.lr': 'auto'}, True)
    """
    if not heal:
        return train_plain(source, target, **options)
    check_budget(budget)
    model = options.get("model")
    untrained = copy.deepcopy(model) if isinstance(model, nn.Module) else None
    begin = clock.monotonic()
    control = train_plain(source, target, **options)
    seconds = clock.monotonic() - begin
    before = control.healing
    if before is not None and before.get("stopped") != "interrupted":
        return control
    _check_watched(control)
    changes = {**(options.get("set") or {}), **((before or {}).get("set") or {})}
    asked = (control.asked or control.plan).to_values(given_only=True)
    again = ("set", "out", "resume", "callbacks", *(("model",) if untrained else ()))
    same = {key: value for key, value in options.items() if key not in again}
    with _scratch(control.path) as folder:
        patient = PlanPatient(
            partial(train_plain, source, target, **same),  # type: ignore[arg-type]
            Plan.from_values(override(asked, changes)),
            control,
            changes,
            model=untrained,
            folder=folder,
        )
        trial = patient.trial_of(control, max(seconds, control.seconds))
        healing = heal_patient(patient, budget=budget, control=trial)
        run = _settled(control, patient, healing)
    if healing.stopped == "interrupted":
        raise TrainingInterrupted(run, healing.signal or signals.SIGINT)
    return run


def _check_watched(run: Run) -> None:
    if not run.plan.doctor.watch:
        raise InputError(
            "a training that is not watched cannot be healed",
            expected="doctor.watch: true",
            got="doctor.watch: false",
            do="leave doctor.watch out, or train without healing",
        )


@contextmanager
def _scratch(path: Path | None) -> Iterator[Path | None]:
    """A folder for trainings that may take a run's place, which is held; none of one in memory."""
    if path is None:
        yield None
        return
    try:
        scratch = tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.resolve().parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    with scratch as name, folder_lock(path):
        yield Path(name)


def _settled(control: Run, patient: PlanPatient, healing: Healing) -> Run:
    """The run that is the result, in its folder, with what was tried beside it."""
    run = control
    asked = control.asked
    if healing.kept is not None:
        kept = [each for treatment, each in patient.runs if treatment is healing.kept]
        run = kept[-1]
        if control.path is not None:
            _take_place(run, control)
    run.asked = asked
    run.healing = healing.to_dict()
    if run.path is not None:
        write_atomic(run.path / HEALING, to_json(run.healing))
    return run


def _take_place(run: Run, control: Run) -> None:
    """Put a run where another was, which stays whole in a folder below it.

    What was asked for stays as it was: what healing changed is a choice made since.
    """
    own, place = run.path, control.path
    if own is None or place is None:
        return
    environment = read_json(own / ENVIRONMENT) | {"asked": read_json(place / ENVIRONMENT)["asked"]}
    write_atomic(own / ENVIRONMENT, to_json(environment))
    aside = place.with_name(f"{place.name}-{CONTROL}")  # in sight, should all end between two steps
    try:
        place.rename(aside)
        try:
            own.rename(place)
        except BaseException:
            aside.rename(place)
            raise
        aside.rename(place / CONTROL)
    except OSError as error:
        raise cannot_write(place, error) from error
    run.path, control.path = place, place / CONTROL
    for number, member in enumerate(run.members, 1):
        member.path = place / MEMBERS / str(number)


def _shown_signature() -> inspect.Signature:
    """All that can be given, as help and editors show it."""
    own, plain = inspect.signature(train), inspect.signature(train_plain)
    healing = [own.parameters[name] for name in ("heal", "budget")]
    return plain.replace(parameters=[*plain.parameters.values(), *healing])


train.__signature__ = _shown_signature()  # type: ignore[attr-defined]
