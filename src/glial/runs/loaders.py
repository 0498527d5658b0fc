"""Training on anyone's loader with a network of one's own: no table, and so no encoding."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.core.devices import choose_device
from glial.core.errors import InputError
from glial.data import Encoding
from glial.data.batches import Batch
from glial.data.streams import LoaderBatches, is_loader
from glial.data.streams.loaders import as_tensor
from glial.runs.plan import Plan
from glial.runs.request import Request
from glial.runs.run import LOADER, Run
from glial.runs.ways import Answered, Judged, Way, judged_rows
from glial.tasks import Task, check_validated, fit_task
from glial.tasks.task import count_of
from glial.training import Descent, Objective, outputs_of

logger = logging.getLogger(__name__)

LOOKED_BATCHES = 32


@dataclass
class LoaderReady:
    """Everything before the first step of a training on a loader.

    Attributes:
        request: What was asked for.
        plan: The plan, with the choices made so far.
        network: The user's own.
        encoding: None of any column.
        task: What is learnt, read off the first batches.
        sizes: What ``model.json`` holds.
        fingerprint: Loaders tell nothing of their rows.
        first: The first of them.
        train: The batches to train on.
        others: Those of validation and test, where there are any.
    """

    request: Request
    plan: Plan
    network: nn.Module
    encoding: Encoding
    task: Task
    sizes: dict[str, Any]
    fingerprint: str
    first: Batch
    train: LoaderBatches
    others: dict[str, LoaderBatches]

    def batches(self) -> LoaderBatches:
        """The batches to train on."""
        return self.train

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The user's own loss of outputs and targets as they are, or the task's."""
        if self.request.loss is not None:
            return self.request.loss(outputs, target)
        return self.task.loss(flat(outputs), encoded(self.task, target), weight)

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """What that loss divides its sum over rows by."""
        if self.request.loss is not None:
            return count_of(target)
        return self.task.mass(encoded(self.task, target), weight)

    def example(self) -> Batch:
        """A batch as the network learns from it."""
        return self.first

    def sampled(self, split: str) -> Batch | None:
        """The first batch, of the rows to train on."""
        return self.first if split == "train" else None

    def objective(self, plan: Plan) -> Objective:
        """Descent on that loss."""
        lr = float(plan.train.lr)
        return Descent(self.network, self.loss, plan.train, lr, mass=self.mass)

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """Figures of a validation pass, where there is a loader for it."""
        if "val" not in self.others:
            return None

        def validate() -> dict[str, float]:
            outputs, target = _said(run, self.others["val"].epoch(0))
            return run.decoder.monitor(outputs, target)

        return validate

    def judged(self, run: Run, split: str) -> Judged | None:
        """How good the network is on a split's rows."""
        if split not in self.others:
            return None
        outputs, target = _said(run, self.others[split].epoch(0))
        return judged_rows(run, outputs, _frame(run.decoder, target), split)


def make_loader_ready(request: Request, plan: Plan) -> LoaderReady:
    """Look at the first batches of a loader, and make all ready for training.

    Args:
        request: What was asked for: the loader, the network and perhaps a loss.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If there is no network, or the batches do not fit it.
    """
    network = request.model
    _check(request, plan)
    assert network is not None  # noqa: S101 - narrows the type
    device, reason = choose_device(plan.train.device)
    logger.info("device: %s (%s)", device, reason)
    network.to(device)
    asked = plan.train.batch_size
    options: dict[str, Any] = {
        "batch_size": asked if isinstance(asked, int) else 64,
        "seed": plan.train.seed,
        "workers": 0 if plan.data.workers == "auto" else plan.data.workers,
        "target": plan.data.target,
        "model": network,
        "device": device,
    }
    train = LoaderBatches(request.source, **options)
    others = {
        name: LoaderBatches(loader, shuffle=False, **options)
        for name, loader in (("val", request.val), ("test", request.test))
        if loader is not None
    }
    looked = train.look(LOOKED_BATCHES)
    task = _task_of(network, looked, plan, request)
    plan = _decided(plan, task, train, request)
    if not train.once and not train.is_counted:
        logger.info("the loader does not tell its length: it is counted in one pass")
        train.count()
    if "val" not in others:
        logger.info("no val= loader: the weights of the last epoch are kept, unjudged")
    sizes = {
        "name": "custom",
        "source": LOADER,
        "num_inputs": len(looked[0].inputs),
        "target": plan.data.target,
    }
    rows = "unknown" if train.once else f"{train.num_rows:,}"
    logger.info("task %s on a loader; rows of an epoch: %s", plan.task.name, rows)
    return LoaderReady(
        request, plan, network, Encoding({}), task, sizes, LOADER, looked[0], train, others
    )


def _check(request: Request, plan: Plan) -> None:
    """Refuse what a loader cannot do."""
    if request.model is None:
        raise InputError(
            "a loader trains a network of your own",
            expected="the network: glial.train(loader, model=network)",
            got=f"model {plan.model['name']!r}",
            do="give model=, or give a table",
        )
    check_validated(plan.task, 0 if request.val is None else 1)
    data = plan.data
    needs_table = {
        "folds": data.split.folds,
        "group": data.split.group,
        "time": data.split.time,
        "weight": data.weight,
        "data.sampling": None if data.sampling == "none" else data.sampling,
        "a file of validation or test rows": data.val or data.test,
    }
    for key, value in needs_table.items():
        if value is not None:
            raise InputError(
                f"{key} needs a table, and the source is a loader",
                expected="loaders for training, val= and test=",
                got=repr(value),
                do=f"leave {key} out",
            )


def _decided(plan: Plan, task: Task, train: LoaderBatches, request: Request) -> Plan:
    """The plan with what a loader decides."""
    settings = plan.train
    given = request.plan.train.model_fields_set
    changes: dict[str, Any] = {"batch_size": train.batch_size}
    if train.once:
        if settings.lr == "auto" or settings.schedule != "constant" or settings.warmup:
            raise InputError(
                "a generator that can be passed over once leaves nothing to measure",
                expected="train.lr as a number, and a constant schedule",
                got=f"train.lr {settings.lr}, train.schedule {settings.schedule}",
                do="set them, or give a function that returns a new generator",
            )
        if settings.epochs > 1 and "epochs" in given:
            raise InputError(
                "a generator can be passed over once",
                expected="epochs=1",
                got=f"{settings.epochs} epochs",
                do="give a function that returns a new generator for each epoch",
            )
        changes["epochs"] = min(1, settings.epochs)
    named = plan.task.model_copy(update={"name": task.name})
    return plan.model_copy(update={"task": named, "train": settings.model_copy(update=changes)})


def _task_of(network: nn.Module, looked: list[Batch], plan: Plan, request: Request) -> Task:
    """What is learnt, by the targets of the first batches and the shape of the outputs."""
    try:
        outputs = flat(outputs_of(network, tuple(part[:2] for part in looked[0].inputs)))
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            "the model does not take the loader's batches",
            expected="a network that is called with the inputs of a batch",
            got=str(error).splitlines()[0],
            do="look at one batch of the loader, and call the network with it",
        ) from error
    target = torch.cat([batch.target.cpu() for batch in looked])
    name = plan.task.name
    if name == "auto":
        name = "regression" if target.is_floating_point() else "classification"
    settings = plan.task.model_copy(update={"name": name})
    if name == "classification":
        frame = _classes(target, outputs.shape[1])
    elif name == "regression":
        frame = _numbers(flat(target))
        if outputs.shape[1] != frame.width and request.loss is None:
            raise _shapes(f"{frame.width} numbers a row", f"{outputs.shape[1]} outputs")
    else:
        raise InputError(
            "a loader cannot be trained on for this task",
            expected="classification or regression",
            got=name,
            do="leave the task out, or choose one of them",
        )
    return fit_task(frame, frame.columns, settings, scale_target=False, loss=request.loss)


def _classes(target: Tensor, num_outputs: int) -> pl.DataFrame:
    """The looked-at classes, and one row more of each class that the network tells apart."""
    codes, count = target.reshape(-1).long(), max(2, num_outputs)
    if len(codes) != len(target):
        raise _shapes("one class a row", f"targets of {list(target.shape)}")
    if codes.min() < 0 or codes.max() >= count:
        got = f"classes {int(codes.min())} to {int(codes.max())}"
        raise _shapes(f"classes 0 to {count - 1}, as the network has {num_outputs} outputs", got)
    return pl.DataFrame({"target": torch.cat([codes, torch.arange(count)]).numpy()})


def _numbers(target: Tensor) -> pl.DataFrame:
    several = target.shape[1] > 1
    names = [f"target_{i}" for i in range(target.shape[1])] if several else ["target"]
    return pl.DataFrame(target.double().numpy(), schema=names)


def _shapes(expected: str, got: str) -> InputError:
    return InputError(
        "the model's outputs do not fit the loader's targets",
        expected=expected,
        got=got,
        do="change the network's last layer, or the targets",
    )


def flat(values: Tensor) -> Tensor:
    """Values as one row of numbers a row.

    Example:
        >>> flat(torch.zeros(3)).shape, flat(torch.zeros(3, 2, 2)).shape
        (torch.Size([3, 1]), torch.Size([3, 4]))
    """
    return values.reshape(len(values), -1)


def encoded(task: Task, target: Tensor) -> Tensor:
    """Targets as a task's loss takes them."""
    return target.reshape(-1).long() if task.name == "classification" else flat(target).float()


def _frame(task: Task, target: Tensor) -> pl.DataFrame:
    if task.name == "classification":
        return pl.DataFrame({"target": target.cpu().numpy()})
    return _numbers(target.cpu())


def _said(run: Run, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Outputs and targets of batches, all that is kept of them."""
    outputs, targets = [], []
    for batch in batches:
        outputs.append(flat(outputs_of(run.model, batch.inputs)).cpu())
        targets.append(encoded(run.decoder, batch.target).cpu())
    return torch.cat(outputs), torch.cat(targets)


def loader_predictions(run: Run, source: Any) -> pl.DataFrame:
    """Predictions of a network that was trained on a loader.

    Args:
        run: The run.
        source: A loader whose batches have the inputs first, or the inputs of all rows: a
            tensor or array, or a tuple of them.

    Raises:
        InputError: If there is no batch, or one is not understood.
    """
    count = int(run.sizes["num_inputs"])
    if not is_loader(source):
        parts = source if isinstance(source, tuple) else (source,)
        inputs = tuple(as_tensor(part) for part in parts)
        return run.decoder.decode(flat(outputs_of(run.model, inputs))).frame()
    batches = _batches(run, source)
    outputs = [
        flat(outputs_of(run.model, batches.inputs(batch, count))) for batch in batches.drawn()
    ]
    if not outputs:
        raise InputError("there are no rows to predict", expected="at least one row", got="none")
    return run.decoder.decode(torch.cat(outputs)).frame()


def loader_scores(run: Run, source: Any) -> dict[str, Any]:
    """Metrics of a network that was trained on a loader, as ``glial.evaluate`` gives them.

    Args:
        run: The run.
        source: A loader whose batches have targets.

    Raises:
        InputError: If the source is no loader.
    """
    return loader_answers(run, source).judged()


def loader_answers(run: Run, source: Any) -> Answered:
    """What a network that was trained on a loader says of rows whose targets are known.

    Args:
        run: The run.
        source: A loader whose batches have targets.

    Raises:
        InputError: If the source is no loader.
    """
    if not is_loader(source):
        raise InputError(
            "this run was trained on a loader",
            expected="a loader whose batches have targets",
            got=type(source).__name__,
            do="give a DataLoader, a data set of torch, or a function that returns batches",
        )
    outputs, target = _said(run, _batches(run, source).epoch(0))
    return Answered(run, _frame(run.decoder, target), outputs)


def _batches(run: Run, source: Any) -> LoaderBatches:
    key = run.sizes.get("target")
    return LoaderBatches(
        source, seed=run.plan.train.seed, shuffle=False, target=key, model=run.model
    )


LOADER_WAY = Way(make_loader_ready, loader_predictions, loader_scores, loader_answers)
