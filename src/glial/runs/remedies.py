"""What of a plan to change where the doctor finds something: from a finding to dotted keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from glial.core.findings import Finding
from glial.core.settings import flat
from glial.models import MODELS
from glial.runs.plan import Plan
from glial.runs.plan_changes import (
    Change,
    PlanChange,
    Standing,
    back_to_usual,
    clip,
    less_regularised,
    longer,
    lower_rate,
    more_accumulation,
    more_regularised,
    one_key,
    other_activation,
    raise_rate,
    recipe,
    wider,
)

CLASSES = ("classification",)
_MEASURE = back_to_usual("measure-rate", "a rate that suits the network and its data", "train.lr")
_OPTIMIZER = back_to_usual(
    "usual-optimizer",
    "an optimiser whose settings suit the model",
    *("train.optimizer", "train.momentum", "train.betas", "train.eps", "train.lr"),
)
_SCHEDULE = back_to_usual(
    "usual-schedule",
    "a rate that lasts for the whole training",
    *("train.schedule", "train.schedule_gamma", "train.schedule_every"),
    *("train.schedule_patience", "train.warmup"),
)
_START = back_to_usual(
    "usual-start",
    "first weights that suit the activation",
    *("model.initialization", "model.bias_initialization"),
)
_SIZE = back_to_usual(
    "usual-size",
    "a network that suits the number of rows",
    *("model.hidden_sizes", "model.widths", "model.width", "model.depth", "model.layers"),
)
_NORM = one_key(
    "add-normalisation", "layers keep their scale", "model.norm", "batch", unless=("layer",)
)
_SKIP = one_key("add-shortcuts", "gradients reach the first layers", "model.skip", True)
_SCALE = back_to_usual("scale-inputs", "inputs of a scale that the network expects", "data.scaling")
_TARGET = one_key("scale-target", "targets about 0 and 1", "data.scale_target", True)
_BATCH = back_to_usual("usual-batch", "a batch that suits the number of rows", "train.batch_size")
_WEIGH = one_key(
    "weigh-classes", "all classes count alike", "task.class_weights", "balanced", tasks=CLASSES
)
_DRAW = one_key(
    "draw-classes", "all classes are as likely", "data.sampling", "weighted", tasks=CLASSES
)
_LOSS = back_to_usual("usual-loss", "the loss that suits the task", "task.loss")
_SMOOTH = one_key(
    "smooth-labels", "wrong labels weigh less", "task.label_smoothing", 0.1, tasks=CLASSES
)
_HUBER = one_key(
    "robust-loss", "far targets weigh less", "task.loss", "huber", tasks=("regression",)
)
_PLAYERS = back_to_usual(
    "usual-players",
    "players that keep up with each other",
    *("model.penalty_weight", "train.lr", "train.optimizer", "train.betas", "train.batch_size"),
)
_CODE = back_to_usual(
    "usual-code",
    "a code that pays for what it says",
    *("model.beta", "model.warmup", "model.free_bits", "model.variance", "model.latent_size"),
)
_FREE = one_key("free-bits", "what a code says first costs nothing", "model.free_bits", 0.1)
_VIEWS = back_to_usual(
    "usual-pretext", "views that differ, and are told apart", "task.temperature", "task.pretext"
)
_UNCHANGED = one_key("no-augmentation", "rows stay as they are", "data.augment", "none")
_EXACT = one_key("float32", "small updates are not rounded away", "train.precision", "float32")
_REPEAT = one_key("deterministic", "the same numbers each time", "train.deterministic", True)
_ONCE = one_key("drop-duplicates", "each row counts once", "data.duplicates", "drop")
_BEST = one_key("keep-best", "the best epoch is the result", "train.restore_best", True)
_STRATIFY = back_to_usual("usual-split", "splits that show the same task", "data.split.method")
_FILL = back_to_usual("fill-missing", "missing numbers are told from others", "data.missing")

# What mends each problem that a plan can mend, the likeliest first.
REMEDIES: dict[str, tuple[Change, ...]] = {
    "learning-rate-too-high": (_MEASURE, lower_rate, _OPTIMIZER, clip),
    "learning-rate-too-low": (_MEASURE, _OPTIMIZER, raise_rate, _START, _SCHEDULE),
    "schedule-collapse": (_SCHEDULE, _MEASURE),
    "wrong-optimizer-setting": (_OPTIMIZER, _MEASURE, less_regularised),
    "batch-size-unsuitable": (_BATCH, longer, _NORM),
    "gradient-ascent": (_MEASURE,),
    "exploding-gradient": (_START, _MEASURE, clip, lower_rate, _NORM),
    "vanishing-gradient": (_START, other_activation, _NORM, _SKIP, _SIZE),
    "dead-units": (_START, _MEASURE, other_activation, lower_rate, _SCALE),
    "saturated-units": (_SCALE, _START, _MEASURE, other_activation, _NORM),
    "symmetric-units": (_START,),
    "bad-initial-scale": (_START, _NORM),
    "bad-initial-loss": (_START, _SCALE, _TARGET),
    "activation-collapse": (_START, _NORM, other_activation, less_regularised, _SIZE),
    "missing-nonlinearity": (other_activation,),
    "misplaced-activation": (
        back_to_usual("usual-output", "outputs without a bound", "model.output_activation"),
    ),
    "wrong-output-activation": (
        back_to_usual("usual-output", "outputs without a bound", "model.output_activation"),
        _LOSS,
    ),
    "wrong-loss": (_LOSS,),
    "unscaled-input": (_SCALE,),
    "unscaled-target": (_TARGET,),
    "constant-input": (_SCALE,),
    "missing-values": (_FILL,),
    "class-imbalance": (_WEIGH, _DRAW),
    "label-noise": (_SMOOTH, _HUBER),
    "harmful-augmentation": (_UNCHANGED,),
    "duplicate-samples": (_ONCE,),
    "leakage": (_ONCE,),
    "bad-split": (_STRATIFY,),
    "overfitting": (_BEST, _SIZE, more_regularised),
    "underfitting": (
        *(_SIZE, _START, other_activation, _SCHEDULE, _MEASURE, _OPTIMIZER, less_regularised),
        *(wider, longer),
    ),
    "over-regularised": (less_regularised,),
    "undertrained": (_MEASURE, _SCHEDULE, _BATCH, longer),
    "loss-not-finite": (_MEASURE, _START, clip, lower_rate, _EXACT),
    "loss-spike": (clip, _MEASURE, lower_rate),
    "loss-oscillating": (_MEASURE, _OPTIMIZER, _BATCH, lower_rate),
    "loss-not-decreasing": (_MEASURE, _START, less_regularised, _OPTIMIZER, _SIZE),
    "players-unbalanced": (_PLAYERS,),
    "mode-collapse": (_PLAYERS,),
    "posterior-collapse": (_CODE, _FREE),
    "representation-collapse": (_VIEWS, _MEASURE),
    "low-precision": (_EXACT, _MEASURE),
    "out-of-memory": (more_accumulation,),
    "not-reproducible": (_REPEAT,),
}


def plan_changes(finding: Finding, plan: Plan, asked: Plan) -> list[PlanChange]:
    """What of a plan could be changed where something was found, the likeliest first.

    Args:
        finding: What was found.
        plan: The plan that was trained, every choice made.
        asked: The plan that was asked for: what somebody set by hand is suspected first.

    Returns:
        Changes with different keys or values; none where no key of a plan can mend it.

    Example:
        >>> asked = Plan.from_values({"model": "mlp", "train": {"lr": 10.0}})
        >>> found = Finding("learning-rate-too-high", "error", None, {}, "It.", "Do.")
        >>> [change.set for change in plan_changes(found, asked, asked)][:2]
        [{'train.lr': 'auto'}, {'train.lr': 1.0}]
    """
    standing = Standing(finding, _values(plan), _values(asked, given_only=True), _usual_of(plan))
    made: list[PlanChange] = []
    for change in (*REMEDIES.get(finding.problem, ()), recipe):
        one = change(standing)
        if one is not None and all(one.set != other.set for other in made):
            made.append(replace(one, takes_back=standing.takes_back(one)))
    made.sort(key=lambda one: not one.takes_back)
    return made if finding.problem in REMEDIES else []


def with_plan_remedies(findings: Iterable[Finding], plan: Plan, asked: Plan) -> list[Finding]:
    """Findings, each with the first change of the plan that could mend it.

    Args:
        findings: What was found.
        plan: The plan that was trained.
        asked: The plan that was asked for.

    Example:
        >>> asked = Plan.from_values({"model": "mlp", "train": {"lr": 10.0}})
        >>> found = Finding("learning-rate-too-high", "error", None, {}, "It.", "Do.")
        >>> with_plan_remedies([found], asked, asked)[0].remedy
        {'set': {'train.lr': 'auto'}}
    """
    return list(_remedied(findings, plan, asked))


def _remedied(findings: Iterable[Finding], plan: Plan, asked: Plan) -> Iterator[Finding]:
    for finding in findings:
        changes = [] if finding.remedy else plan_changes(finding, plan, asked)
        yield replace(finding, remedy={"set": dict(changes[0].set)}) if changes else finding


def _values(plan: Plan, *, given_only: bool = False) -> dict[str, Any]:
    return flat(plan.to_values(given_only=given_only))


def _usual_of(plan: Plan) -> dict[str, Any]:
    """What each key is where nobody sets it; of a network of the user's own, not the model's."""
    usual = _values(Plan())
    usual.pop("model.name")
    name = str(plan.model.get("name"))
    if name not in MODELS:
        return usual
    settings = MODELS.resolve(name)
    for key, value in settings.train_defaults(plan.task.name).items():
        usual[key if key.startswith("task.") else f"train.{key}"] = value
    fields = settings.model_fields.items()
    return usual | {
        f"model.{key}": own.get_default(call_default_factory=True)
        for key, own in fields
        if key != "name"
    }
