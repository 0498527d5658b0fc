"""Forecasting: everything before the first step on series, and the way in which runs on them go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from glial.core.devices import choose_device
from glial.core.errors import InputError
from glial.data import Encoding
from glial.data.batches import Batch
from glial.data.series import WindowBatches, WindowForm, Windows
from glial.runs.forecasts import Forecasted, evaluate, predict
from glial.runs.network import built_network, make_objective
from glial.runs.plan import Plan
from glial.runs.preparation import choose_model, chosen_batch_size
from glial.runs.request import Request
from glial.runs.run import Run
from glial.runs.series import PreparedSeries, prepare_series
from glial.runs.ways import Judged, Way
from glial.tasks.forecasting import Forecasting
from glial.tasks.task import Loss
from glial.training import Objective, outputs_of
from glial.training.objective import Mass

logger = logging.getLogger(__name__)

FORECASTING = "forecasting"
DEFAULT_MODEL = "forecast_mlp"
SAMPLED = 500
VALIDATED = 2_000


@dataclass
class ForecastReady:
    """Everything before the first step on series, made without touching the run's folder."""

    request: Request
    prepared: PreparedSeries
    network: nn.Module
    sizes: dict[str, Any]
    windows: Windows
    device: torch.device

    @property
    def plan(self) -> Plan:
        """The plan, but for what is measured."""
        return self.prepared.plan

    @property
    def encoding(self) -> Encoding:
        """How what is known in advance becomes numbers."""
        return self.prepared.encoding

    @property
    def task(self) -> Forecasting:
        """What is learnt."""
        return self.prepared.task

    @property
    def fingerprint(self) -> str:
        """What tells the source's rows from others."""
        return self.prepared.fingerprint

    @property
    def loss(self) -> Loss:
        """The task's loss."""
        return self.task.loss

    @property
    def mass(self) -> Mass:
        """How many values are known."""
        return self.task.mass

    def moments(self, split: str, stride: int | str = 1) -> Tensor:
        """The moments of a split, as windows are learnt from."""
        form = self.windows.form
        return self.prepared.edges.moments(split, form, stride).to(self.device)

    def batches(self) -> WindowBatches:
        """The batches to train on."""
        settings = self.plan.train
        return WindowBatches(
            self.windows, self.moments("train"), int(settings.batch_size), settings.seed
        )

    def example(self) -> Batch:
        """A batch as the network learns from it."""
        return self.windows.rows(self.moments("train")[: int(self.plan.train.batch_size)])

    def sampled(self, split: str) -> Batch | None:
        """Some windows of ``train`` or ``val``, spread over all."""
        moments = self.moments(split)
        if not moments.shape[0]:
            return None
        return self.windows.rows(_spread(moments, SAMPLED))

    def objective(self, plan: Plan) -> Objective:
        """What changes the network."""
        return make_objective(self.network, self.task, plan)

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """Figures of a validation pass, where steps are kept back for it."""
        moments = self.moments("val")
        if not moments.shape[0]:
            return None
        held = self.windows.rows(_spread(moments, VALIDATED))

        def validate() -> dict[str, float]:
            return self.task.monitor(outputs_of(run.model, held.inputs), held.target)

        return validate

    def judged(self, run: Run, split: str) -> Judged | None:
        """How good the network is on ``val`` or ``test``."""
        rows, stride = self.prepared.rows, run.plan.task.stride
        moments = self.prepared.edges.moments(split, rows.windows.form, stride)
        return Forecasted.of(run, rows, moments).judged() if moments.shape[0] else None


def make_ready(request: Request, plan: Plan) -> ForecastReady:
    """Series, network and windows of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    prepared = prepare_series(plan, request.source, loss=request.loss)
    device, reason = choose_device(plan.train.device)
    logger.info("device: %s (%s)", device, reason)
    task, plan = prepared.task, prepared.plan
    form = learnt_form(plan, task.form)
    windows = _seen(prepared.rows.windows, form).to(device)
    moments = prepared.edges.moments("train", form)
    plan, settings = choose_model(_with_model(plan), moments.shape[0], {})
    num_covariates = prepared.encoding.num_numbers if prepared.encoding.encoders else 0
    sizes: dict[str, Any] = {
        "num_inputs": num_covariates,
        "num_outputs": form.horizon * task.num_per_step,
        "cardinalities": [],
        "windows": {
            "context": form.context,
            "horizon": form.horizon,
            "season": form.season,
            "targets": len(task.targets),
        },
    }
    train = plan.train.model_copy(
        update={"batch_size": chosen_batch_size(plan.train, moments.shape[0])}
    )
    plan = plan.model_copy(update={"train": train})
    few = windows.rows(moments[:2].to(device))
    if settings is None:
        network, sizes = _own_network(request.model, few, sizes["num_outputs"])
    else:
        settings = settings.for_data(
            moments.shape[0], num_covariates, sizes["num_outputs"], plan.task.name
        )
        plan = plan.model_copy(update={"model": settings.model_dump(mode="json")})
        network, sizes = built_network(settings, sizes, plan, few)
        _begin(network, windows.rows(_spread(moments, VALIDATED).to(device)), task)
    sizes["source"] = FORECASTING
    prepared.plan = plan
    ready = ForecastReady(request, prepared, network.to(device), sizes, windows, device)
    _say_what_is_trained(ready)
    return ready


def _begin(network: nn.Module, rows: Batch, task: Forecasting) -> None:
    """Start a network of series as a regression on what each step sees of its window."""
    start_from = getattr(network, "start_from", None)
    if start_from is None:
        return
    view: Any = network.view
    inputs, target = [part.cpu() for part in rows.inputs], rows.target.cpu()
    weights, _ = view.fit(inputs, *task.known_of(target))
    naive, features = view(*inputs)
    start_from(weights, task.spread_around(naive + features @ weights, target))


def learnt_form(plan: Plan, form: WindowForm) -> WindowForm:
    """What the windows are that a network learns from: of one step, where it goes step by step."""
    return replace(form, horizon=1) if plan.task.strategy == "recursive" else form


def _with_model(plan: Plan) -> Plan:
    model = plan.model
    name = DEFAULT_MODEL if model["name"] == "auto" else model["name"]
    return plan.model_copy(update={"model": {**model, "name": name}})


def _seen(windows: Windows, form: WindowForm) -> Windows:
    return windows if form == windows.form else windows.formed(form)


def _own_network(
    network: nn.Module | None, few: Batch, num_outputs: int
) -> tuple[nn.Module, dict[str, Any]]:
    """The user's own network, which must take windows."""
    if network is None:
        raise InputError(
            "the plan trains a network of the user's own",
            expected="the network, given in Python: glial.train(..., model=network)",
            got="no network",
            do="train from Python, or set model.name",
        )
    shapes = ", ".join(str(list(part.shape)) for part in few.inputs)
    try:
        found: list[Any] = list(outputs_of(network, tuple(part.cpu() for part in few.inputs)).shape)
    except (RuntimeError, TypeError, ValueError) as error:
        found = [str(error).splitlines()[0]]
    if found != [len(few.target), num_outputs]:
        raise InputError(
            "the model does not fit these windows",
            expected=f"outputs [row, {num_outputs}] of inputs {shapes}",
            got=str(found),
            do="take history [row, context, target] and, if anything is known in advance, "
            "covariates [row, context + horizon, covariate]",
        )
    return network, {"name": "custom"}


def _spread(moments: Tensor, most: int) -> Tensor:
    """At most so many moments, evenly spread."""
    if moments.shape[0] <= most:
        return moments
    places = torch.linspace(0, moments.shape[0] - 1, most, device=moments.device).round().long()
    return moments[places]


def _say_what_is_trained(ready: ForecastReady) -> None:
    count = sum(p.numel() for p in ready.network.parameters())
    numbers = [ready.moments(split).shape[0] for split in ("train", "val", "test")]
    logger.info(
        "task %s, model %s with %s parameters; %d series; %d windows to train on, %d to validate, "
        "%d to test",
        ready.task.name,
        ready.plan.model["name"],
        f"{count:,}",
        len(ready.prepared.rows.table.names),
        *numbers,
    )


FORECASTING_WAY = Way(make_ready, predict, evaluate)
