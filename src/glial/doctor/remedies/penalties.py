"""Regularisation: less where the data are not fitted, more where they are fitted too well."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from glial.doctor.evidence import LossSeen
from glial.doctor.measures import main_loss, optimizers_of
from glial.doctor.remedies.program.case import Case, Found
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.making import inserted_after, stack_of
from glial.doctor.remedies.program.numbers import (
    named_numbers,
    number_behind,
    tidy,
    value_of,
    written,
)
from glial.doctor.remedies.program.source import Edit, Source, last_name

SMALL_SHARE = 0.01  # of a loss, that a penalty may be at first
DECAY, DECOUPLED = 1e-4, 1e-2
DROPPED, MIXED = 0.2, 0.1
ACTIVATIONS = ("ReLU", "GELU", "SiLU", "Tanh", "ELU", "LeakyReLU", "SELU", "Sigmoid")


def less(case: Case) -> Iterator[Change]:
    """Less of what the finding names: dropout, decay, a term of the loss, smoothed labels."""
    seen = case.finding.evidence
    if "p" in seen:
        yield from _less_dropout(case, float(seen["p"]))
    if "weight_decay" in seen:
        yield from _less_decay(case, float(seen["weight_decay"]))
    if "label_smoothing" in seen:
        yield from _less_smoothing(case, float(seen["label_smoothing"]))
    if "weight_of_what_is_added" in seen:
        yield from weighed_less(case)


def _less_dropout(case: Case, share: float) -> Iterator[Change]:
    edits: dict[str, list[Edit]] = {}
    strong = [
        layer
        for model in case.evidence.models
        for layer in model.layers
        if "dropout" in layer.kind.lower() and layer.settings.get("p", 0.0) >= share
    ]
    for layer in strong:
        for found in case.calls(layer.at, layer.kind, "dropout"):
            if not isinstance(found.node, ast.Call):
                continue
            call, position = found.node, 0 if last_name(found.node.func)[:1].isupper() else 1
            given = [k.value for k in call.keywords if k.arg == "p"]
            given = given or call.args[position : position + 1]
            if given:
                number = number_behind(case, found.source, given[0], layer.settings["p"])
                edit = number.source.replace(number.node, written(DROPPED))
                edits.setdefault(number.source.path, []).append(edit)
    if edits:
        each = {path: tuple(dict.fromkeys(several)) for path, several in edits.items()}
        yield Change("less-dropout", f"lowers dropout from {share:g} to {DROPPED:g}", each)


def _less_decay(case: Case, decay: float) -> Iterator[Change]:
    for optimizer in optimizers_of(case.evidence):
        made = case.making_of(optimizer)
        usual = DECOUPLED if optimizer.kind in ("AdamW", "NAdamW") else DECAY
        says = f"lowers the weight decay from {decay:g} to {usual:g}"
        call = made.node if made is not None else None
        given = [k.value for k in getattr(call, "keywords", []) if k.arg == "weight_decay"]
        if made is not None and given:
            number = number_behind(case, made.source, given[0], decay)
            edit = number.source.replace(number.node, written(usual))
            yield Change.of("less-decay", says, number.source, [edit])
            return
    names = ("weight_decay", "optimizer__weight_decay", "wd")
    for number in list(named_numbers(case, names, decay))[:1]:
        edit = number.source.replace(number.node, written(DECAY))
        says = f"lowers the weight decay from {decay:g} to {DECAY:g}"
        yield Change.of("less-decay", says, number.source, [edit])


def _less_smoothing(case: Case, share: float) -> Iterator[Change]:
    places = [case.loss_module, case.loss_call]
    for found in [one for one in places if one is not None]:
        for keyword in getattr(found.node, "keywords", []):
            if keyword.arg == "label_smoothing":
                number = number_behind(case, found.source, keyword.value, share)
                edit = number.source.replace(number.node, written(MIXED))
                says = f"smooths labels by {MIXED:g}, not {share:g}"
                yield Change.of("less-smoothing", says, number.source, [edit], alters_loss=True)
                return


def weighed_less(case: Case) -> Iterator[Change]:
    """What is added to the loss is weighed so that it is a small part of it at first."""
    loss = main_loss(case.evidence)
    source = case.sources.of(loss.added_at) if loss is not None else None
    if loss is None or source is None or loss.added_at is None:
        return
    weight = loss.added_weight if loss.added_weight > 0 else 1.0
    factor = _small(loss)
    for name, one in (("lighter-penalty", factor), ("hundredth-penalty", 0.01)):
        found = _weighed(case, source, loss, weight, one)
        if found is not None:
            new, node_source, edit = found
            says = f"weighs what is added to the loss by {new:g}, not {weight:g}"
            yield Change.of(name, says, node_source, [edit], alters_loss=True)


def _small(loss: LossSeen) -> float:
    """By what to multiply a weight so that what is added is a hundredth of the loss at first."""
    whole = dict(loss.value)
    pairs = [(own, whole[step] - own) for step, own in loss.own if step in whole][:3]
    ratios = [own / added for own, added in pairs if own > 0 and added > 0]
    return min(0.1, SMALL_SHARE * ratios[0]) if ratios else 0.001


def _weighed(
    case: Case, source: Source, loss: LossSeen, weight: float, factor: float
) -> tuple[float, Source, Edit] | None:
    statements = source.statements_at(loss.added_at.line) if loss.added_at is not None else []
    if not statements:
        return None
    new = tidy(weight * factor)
    inside = list(ast.walk(statements[0]))
    for node in inside:
        sides = [node.left, node.right] if isinstance(node, ast.BinOp) else []
        if not isinstance(getattr(node, "op", None), ast.Mult):
            continue
        for side in sides:
            if _is(value_of(side), weight) and weight != 1.0:
                return new, source, source.replace(side, written(new))
            if value_of(side) is None and isinstance(side, ast.Name | ast.Attribute):
                number = number_behind(case, source, side, weight)
                if _is(value_of(number.node), weight):
                    return new, number.source, number.to(new)
    for node in inside:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return tidy(factor), source, _scaled(source, node.right, factor)
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            return tidy(factor), source, _scaled(source, node.value, factor)
    return None


def _is(value: float | None, weight: float) -> bool:
    return value is not None and math.isclose(abs(value), weight, rel_tol=1e-3)


def _scaled(source: Source, node: ast.expr, factor: float) -> Edit:
    code = source.code(node)
    bare = isinstance(node, ast.Name | ast.Call | ast.Attribute | ast.Subscript)
    return source.replace(node, f"{written(tidy(factor))} * {code if bare else f'({code})'}")


# -- more


def decayed(case: Case) -> Iterator[Change]:
    """Weights decay."""
    for optimizer in optimizers_of(case.evidence)[:1]:
        made: Found | None = case.making_of(optimizer)
        if made is None or not isinstance(made.node, ast.Call):
            return
        if any(k.arg is None for k in made.node.keywords):
            return
        adam = optimizer.kind in ("Adam", "AdamW")
        decay = 0.1 if adam else 1e-2
        edits = [made.source.argument(made.node, "weight_decay", written(decay))]
        if optimizer.kind == "Adam" and isinstance(made.node.func, ast.Attribute):
            base = made.source.code(made.node.func.value)
            edits.append(made.source.replace(made.node.func, f"{base}.AdamW"))
        says = f"lets weights decay by {decay:g}"
        yield Change.of("weight-decay", says, made.source, edits)


def dropout(case: Case) -> Iterator[Change]:
    """Dropout after each hidden activation of a stack."""
    model = case.model
    if model is None or any("dropout" in layer.kind.lower() for layer in model.layers):
        return
    edits: dict[str, list[Edit]] = {}
    for layer in model.layers[:-1]:
        source = case.sources.of(layer.at)
        if layer.kind not in ACTIVATIONS or source is None or layer.at is None:
            continue
        given, imported = source.refer("torch.nn.Dropout")
        for call in source.calls_at(layer.at.line, layer.kind):
            stack = stack_of(source, call)
            if call in stack and call is not stack[-1]:
                edits.setdefault(source.path, []).extend(
                    [inserted_after(source, call, stack, f"{given}({DROPPED:g})"), *imported]
                )
    if edits:
        each = {path: tuple(dict.fromkeys(several)) for path, several in edits.items()}
        yield Change("dropout", f"drops {DROPPED:.0%} of the hidden units in training", each)


TABLE = {
    "over-regularised": (less,),
    "posterior-collapse": (weighed_less,),
    "overfitting": (decayed, dropout),
}
