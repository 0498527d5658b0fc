"""The step: another rate, another optimiser, its settings, its schedule, clipped gradients."""

from __future__ import annotations

import ast
import math
import statistics
from collections.abc import Iterator

from glial.doctor.evidence import OptimizerSeen
from glial.doctor.measures import optimizers_of, trained_models
from glial.doctor.remedies.program.case import Case, Found
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.numbers import (
    Number,
    named_numbers,
    number_behind,
    tidy,
    value_of,
    written,
)
from glial.doctor.remedies.program.source import Edit, Source, last_name

RATES = ("lr", "learning_rate", "optimizer__lr", "base_lr", "max_lr", "step_size", "eta", "rate")
PEAKS = {"OneCycleLR": 1, "CyclicLR": 2}  # schedules that set the rate themselves: its position
# What torch sets where nothing is said, of optimisers whose steps have the rate's own size.
DEFAULTS = {"Adam": 1e-3, "AdamW": 1e-3, "NAdam": 2e-3, "RAdam": 1e-3, "Adamax": 2e-3}
DEFAULTS |= {"RMSprop": 1e-2, "Adagrad": 1e-2, "Adadelta": 1.0, "LBFGS": 1.0, "Rprop": 1e-2}
BY_HAND = 0.02  # how well the rate of a loop's own update is known
TRAVEL, STEP = 6.0, (1e-3, 2e-2)  # of their size weights go in a training, and in a step
LOWER, HIGHER = 0.1, 10.0
HIGHEST = {False: 1.0, True: 0.1}  # rates of plain and of adaptive steps that anybody takes
SOME = 0.5

Rates = dict[str, tuple[Edit, ...]]


def with_rate(case: Case, optimizer: OptimizerSeen, factor: float) -> tuple[float, Rates] | None:
    """Edits by which an optimiser's rates become a multiple of what they were.

    Args:
        case: The program.
        optimizer: Whose.
        factor: Of each of its rates; they are rounded.

    Returns:
        The new rate and the edits; None where the rate is not found.
    """
    numbers = list(_rates(case, optimizer))
    made = case.making_of(optimizer)
    old = numbers[0].value if numbers else _base(optimizer)
    new = tidy(old * factor) if old > 0 and math.isfinite(old) else math.nan
    if math.isnan(new):
        return None
    if not numbers:
        if made is None or not isinstance(made.node, ast.Call):
            return None
        if any(k.arg is None for k in made.node.keywords):
            return None  # what else it is given is not known
        return new, {made.source.path: (made.source.argument(made.node, "lr", written(new)),)}
    edits: dict[str, list[Edit]] = {}
    for number in numbers:
        edits.setdefault(number.source.path, []).append(number.to(tidy(number.value * factor)))
    return new, {path: tuple(several) for path, several in edits.items()}


def _base(optimizer: OptimizerSeen) -> float:
    """The rate that it was made with, before any schedule."""
    settings = optimizer.settings
    return settings.get("initial_lr", settings.get("lr", math.nan))


def _rates(case: Case, optimizer: OptimizerSeen) -> Iterator[Number]:
    """Where its rates are written down, that of its first group first."""
    schedule = case.call(optimizer.scheduler_at, *PEAKS)
    if schedule is not None and isinstance(schedule.node, ast.Call):
        peak = _argument(schedule.node, "max_lr", PEAKS[last_name(schedule.node.func)])
        top = max(optimizer.lr.values, default=math.nan)
        if peak is not None:
            known = value_of(peak)
            yield number_behind(case, schedule.source, peak, top if known is None else known)
            return
    made = case.making_of(optimizer)
    if made is not None and isinstance(made.node, ast.Call):
        own = _argument(made.node, "lr", 1)
        if own is not None:
            yield number_behind(case, made.source, own, _base(optimizer))
        first = made.node.args[0] if made.node.args else made.node
        for node in ast.walk(first):
            value = value_of(node)
            key = _key_of(made.source, node)
            if key == "lr" and value and isinstance(node, ast.expr):
                yield Number(made.source, node, value)
        whole = all(k.arg is not None for k in made.node.keywords)
        if own is not None or (whole and last_name(made.node.func) == optimizer.kind):
            return
    by_hand = optimizer.kind == "by hand"
    within = BY_HAND if by_hand else 1e-6
    value = optimizer.settings.get("lr", math.nan) if by_hand else _base(optimizer)
    yield from list(named_numbers(case, RATES, value, within=within))[:2]


def _key_of(source: Source, node: ast.AST) -> str | None:
    parent = source.parents.get(node)
    if isinstance(parent, ast.Dict) and node in parent.values:
        key = parent.keys[parent.values.index(node)]
        return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
    return parent.arg if isinstance(parent, ast.keyword) else None


def _argument(call: ast.Call, name: str, position: int) -> ast.expr | None:
    given = next((k.value for k in call.keywords if k.arg == name), None)
    if given is None and len(call.args) > position:
        return call.args[position]
    return given


def _stride(case: Case, optimizer: OptimizerSeen) -> float:
    """How large its first steps were beside the weights: the median over weights.

    Steps of adaptive optimisers have their usual size after the first; those of others are only
    known while the weights are what they were.
    """
    ratios = []
    for model in trained_models(case.evidence):
        for parameter in model.parameters:
            sizes = [value for value in parameter.update.values if math.isfinite(value)]
            if len(parameter.shape) < 2 or parameter.optimizer != optimizer.name or not sizes:
                continue
            few = sizes[1:6] if optimizer.kind in DEFAULTS and len(sizes) > 1 else sizes[:1]
            if parameter.weight.first > 0:
                ratios.append(statistics.median(few) / parameter.weight.first)
    return statistics.median(ratios) if ratios else math.nan


def _measured(case: Case, optimizer: OptimizerSeen) -> float:
    """The factor of the rate by which weights would come far enough, and no further.

    All steps together should take a weight a few times as far as it is long; a step takes it
    between a thousandth and a fiftieth of that.

    Source:
        Bottou (2012), "Stochastic gradient descent tricks": updates of about a thousandth.
    """
    wanted = min(STEP[1], max(STEP[0], TRAVEL / max(1, optimizer.steps)))
    stride, old = _stride(case, optimizer), _base(optimizer)
    highest = HIGHEST[optimizer.kind in DEFAULTS] / old if old > 0 else math.nan
    return min(wanted / stride, highest) if stride > 0 else math.nan


def lower_rate(case: Case) -> Iterator[Change]:
    """A lower rate: as the first steps call for, the optimiser's usual one, a tenth."""
    for optimizer in _meant(case)[:1]:
        old, measured = _base(optimizer), _measured(case, optimizer)
        usual = DEFAULTS.get(optimizer.kind, math.nan) / old if old > 0 else math.nan
        if measured < SOME:
            yield from _to_rate(case, optimizer, "measured-rate", measured)
        if usual < SOME:
            yield from _to_rate(case, optimizer, "usual-rate", usual)
        yield from _to_rate(case, optimizer, "lower-rate", LOWER)


def higher_rate(case: Case) -> Iterator[Change]:
    """A higher rate: as the first steps call for, the optimiser's usual one, ten times."""
    for optimizer in _meant(case)[:1]:
        old, measured = _base(optimizer), _measured(case, optimizer)
        usual = DEFAULTS.get(optimizer.kind, math.nan) / old if old > 0 else math.nan
        if measured > 1 / SOME:
            yield from _to_rate(case, optimizer, "measured-rate", measured)
        if usual > 1 / SOME:
            yield from _to_rate(case, optimizer, "usual-rate", usual)
        yield from _to_rate(case, optimizer, "higher-rate", HIGHER)


def _meant(case: Case) -> list[OptimizerSeen]:
    """The optimisers that a finding may be about: the one made at its line first."""
    used = optimizers_of(case.evidence)
    at = case.finding.at
    return sorted(used, key=lambda o: (at is None or o.made_at != at, o is not case.optimizer))


def _to_rate(case: Case, optimizer: OptimizerSeen, name: str, factor: float) -> Iterator[Change]:
    found = with_rate(case, optimizer, factor) if math.isfinite(factor) else None
    if found is not None:
        new, edits = found
        old = next((number.value for number in _rates(case, optimizer)), _base(optimizer))
        way = "lowers" if factor < 1 else "raises"
        yield Change(name, f"{way} the learning rate from {old:.3g} to {new:g}", edits)


def adam(case: Case) -> Iterator[Change]:
    """Adam at its usual rate in place of an optimiser whose steps have the gradient's size."""
    for optimizer in _meant(case)[:1]:
        made = case.making_of(optimizer)
        scheduled = case.call(optimizer.scheduler_at, *PEAKS) is not None
        if optimizer.kind in DEFAULTS and optimizer.kind not in ("Adadelta", "Rprop", "LBFGS"):
            return
        if made is None or not isinstance(made.node, ast.Call) or not made.node.args or scheduled:
            return
        source, call = made.source, made.node
        if last_name(call.func) != optimizer.kind:
            return  # its class is chosen elsewhere
        name, imported = _beside(source, call.func, "Adam")
        kept = [k for k in call.keywords if k.arg == "weight_decay"]
        given = [source.code(call.args[0]), "lr=0.001", *(source.code(k) for k in kept)]
        yield Change.of(
            "adam",
            f"takes Adam with a rate of 0.001 in place of {optimizer.kind}",
            source,
            [source.replace(call, f"{name}({', '.join(given)})"), *imported],
        )


def _beside(source: Source, function: ast.expr, name: str) -> tuple[str, list[Edit]]:
    """How another class of the same module is written here."""
    if isinstance(function, ast.Attribute):
        return f"{source.code(function.value)}.{name}", []
    return source.refer(f"torch.optim.{name}")


def clip(case: Case) -> Iterator[Change]:
    """Gradients are clipped to a norm of 1 before each step."""
    for optimizer in _meant(case)[:1]:
        step = case.call(optimizer.at, "step")
        made = case.making_of(optimizer)
        if step is None or not isinstance(step.node, ast.Call):
            continue
        source, statement = step.source, step.source.statement(step.node)
        parameters = _parameters(made, source, statement)
        around = source.function_of(statement)
        known = source.calls("clip_grad_norm_", "clip_grad_value_", "clip_grad_norm", "unscale_")
        if parameters is None or step.node.args or step.node.keywords:
            continue  # a closure's gradients are taken within the step, a scaler's are scaled
        if any(source.function_of(one) is around for one in known):
            continue
        name, imported = source.refer("torch.nn.utils.clip_grad_norm_")
        yield Change.of(
            "clip-gradients",
            "clips the norm of the gradients to 1 before each step",
            source,
            [source.before(statement, f"{name}({parameters}, 1.0)"), *imported],
        )


def _parameters(made: Found | None, source: Source, statement: ast.stmt) -> str | None:
    """The parameters that an optimiser was given, as they are written where it steps."""
    call = made.node if made is not None else None
    first = call.args[0] if isinstance(call, ast.Call) and call.args else None
    if made is None or made.source is not source or not isinstance(first, ast.Call):
        return None
    if last_name(first.func) not in ("parameters",):
        return None
    here, there = source.function_of(statement), source.function_of(first)
    base = source.code(first.func).removesuffix(".parameters")
    names = {node.id for node in ast.walk(first) if isinstance(node, ast.Name)}
    own = {"self"} if here is not None and there is not None else set()
    if here is not there and there is not None and not names <= own:
        return None  # the name means something else here
    return f"{base}.parameters()"


def optimizer_setting(case: Case) -> Iterator[Change]:
    """A setting that does not fit becomes the usual one."""
    for name, value in case.finding.evidence.items():
        if name == "max_norm":
            yield from _clipped_less(case)
            continue
        usual = {"eps": 1e-8, "beta1": 0.9, "beta2": 0.999, "momentum": 0.9}.get(name)
        optimizer = next(iter(_meant(case)), None)
        made = case.making_of(optimizer) if optimizer is not None else None
        if usual is None or made is None or not isinstance(made.node, ast.Call):
            if usual is not None:
                for number in list(named_numbers(case, (name, f"optimizer__{name}"), value))[:1]:
                    yield _set(case, number, name, usual)
            continue
        argument = "betas" if name.startswith("beta") else name
        given = next((k.value for k in made.node.keywords if k.arg == argument), None)
        if given is None:
            continue
        if isinstance(given, ast.Tuple) and argument == "betas" and len(given.elts) == 2:
            given = given.elts[int(name[-1]) - 1]
        elif argument == "betas":
            edit = made.source.without_argument(made.node, "betas")
            if edit is not None:
                yield Change.of("usual-setting", "leaves betas as usual", made.source, [edit])
            continue
        yield _set(case, number_behind(case, made.source, given, float(value)), name, usual)


def _set(case: Case, number: Number, name: str, value: float) -> Change:
    return Change.of(
        "usual-setting",
        f"sets {name} to {written(value)}, as is usual",
        number.source,
        [number.source.replace(number.node, written(value))],
    )


_CLIPS = {"clip_grad_norm_": 1, "clip_grad_value_": 1, "clip_grad_norm": 1, "clip_gradients": 2}
_CLIPPED = ("gradient_clip_val", "max_grad_norm", "gradient_clip_value", "clip_norm", "max_norm")


def _clipped_less(case: Case) -> Iterator[Change]:
    """Gradients are clipped to a norm of 1, or not at all."""
    seen = case.optimizer
    norm = float(case.finding.evidence["max_norm"])
    says = "clips the norm of the gradients to 1"
    for source in case.files:
        for call in source.calls(*_CLIPS):
            names = ("max_norm", "clip_value", "gradient_clip_val")
            given = [k.value for k in call.keywords if k.arg in names]
            position = _CLIPS[last_name(call.func)]
            given = given or call.args[position : position + 1]
            if given:
                number = number_behind(case, source, given[0], norm)
                edit = number.source.replace(number.node, "1.0")
                yield Change.of("clip-less", says, number.source, [edit])
                statement = source.statement(call)
                if isinstance(statement, ast.Expr):
                    gone = [source.remove(statement)]
                    yield Change.of("no-clipping", "takes the clipping out", source, gone)
    for number in list(named_numbers(case, _CLIPPED, norm, within=0.1))[:1] if seen else ():
        edit = number.source.replace(number.node, "1.0")
        yield Change.of("clip-less", says, number.source, [edit])


TABLE = {
    "learning-rate-too-high": (lower_rate, adam, clip),
    "learning-rate-too-low": (higher_rate, adam),
    "wrong-optimizer-setting": (optimizer_setting,),
    "exploding-gradient": (clip, lower_rate),
    "loss-oscillating": (lower_rate, clip),
    "loss-spike": (clip, lower_rate),
    "loss-not-decreasing": (lower_rate, higher_rate, adam),
}
