"""How many outputs there are: the number is found where it is written."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping

from glial.doctor.evidence import LossSeen
from glial.doctor.remedies.program.case import Case, Remedy
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source, last_name

# Where layers are given how many outputs they have.
_WIDTHS = {"Linear": ("out_features", 1), "LazyLinear": ("out_features", 0)}
_WIDTHS |= {f"Conv{n}d": ("out_channels", 1) for n in (1, 2, 3)}
_MOST_HOPS = 6


def widened(case: Case, loss: LossSeen, width: int) -> tuple[Source, Edit] | None:
    """An edit after which the layer before a loss has another number of outputs."""
    for model in case.evidence.models:
        if loss.model not in (None, model.name):
            continue
        wide = [x for x in model.layers if x.kind in _WIDTHS]
        named = [x for x in wide if x.name == loss.output_layer] or wide[-1:]
        for layer in named:
            found = case.maker(layer)
            if found is None or not isinstance(found.node, ast.Call):
                continue
            name, position = _WIDTHS[layer.kind]
            given = [k.value for k in found.node.keywords if k.arg == name]
            given = given or found.node.args[position : position + 1]
            for value in given:
                source, place = origin(case, found.source, value)
                if source.code(place) != str(width):
                    return source, source.replace(place, str(width))
    return None


def origin(case: Case, source: Source, value: ast.expr, hops: int = 0) -> tuple[Source, ast.expr]:
    """Where a number is written that reaches a place through names; the place itself if unclear."""
    if isinstance(value, ast.Constant) or hops > _MOST_HOPS:
        return source, value
    for other, one in _sources_of(case, source, value):
        place, found = origin(case, other, one, hops + 1)
        if isinstance(found, ast.Constant) and isinstance(found.value, int):
            return place, found
    return source, value


def _sources_of(case: Case, source: Source, value: ast.expr) -> Iterator[tuple[Source, ast.expr]]:
    """What a name may have been given, the nearest first."""
    name, around = source.code(value), source.function_of(value)
    for statement in source.assignments(name):
        near = source.function_of(statement) in (around, None) or name.startswith("self.")
        if near and isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            pair = statement.targets[0], statement.value
            if isinstance(pair[0], ast.Tuple) and isinstance(pair[1], ast.Tuple):
                targets = [source.code(one) for one in pair[0].elts]
                yield source, pair[1].elts[targets.index(name)]
            else:
                yield source, statement.value
    if around is None or name not in [a.arg for a in _parameters(around)]:
        return
    parent = source.parents[around]
    method = isinstance(parent, ast.ClassDef)
    called = parent.name if isinstance(parent, ast.ClassDef) else around.name
    names = [a.arg for a in around.args.args][1 if method else 0 :]
    for other in dict.fromkeys([source, *case.files]):
        for call in other.calls(called):
            for keyword in call.keywords:
                if keyword.arg == name:
                    yield other, keyword.value
            if name in names and len(call.args) > names.index(name):
                yield other, call.args[names.index(name)]
    defaults = around.args.defaults
    given = dict(zip([a.arg for a in around.args.args][-len(defaults) :], defaults, strict=False))
    given |= {
        a.arg: d
        for a, d in zip(around.args.kwonlyargs, around.args.kw_defaults, strict=True)
        if d is not None
    }
    if defaults or around.args.kwonlyargs:
        yield from [(source, given[name])] if name in given else []


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    return [*function.args.args, *function.args.kwonlyargs]


def fit_width(case: Case) -> Iterator[Change]:
    """The last layer is given an output for each class."""
    loss, seen = case.loss, case.finding.evidence
    if loss is None or case.evidence.rows.unseen_classes:
        return  # what training shows is not all that is asked for
    target = loss.target
    lowest = target.min if target is not None else math.nan
    classes = int(max(seen.get("largest_target", -1), seen.get("target", -1)) + 1)
    if "classes" in seen and target is not None:  # there are more outputs than that
        classes = int(target.max) + 1
    single = seen.get("outputs") == 1 and "loss" in seen
    if single and target is not None:
        whole = target.whole and 2 <= len(target.counts) <= 100
        if not whole:
            yield from _amounts(case)
            return
        classes = int(target.max) + 1
    if classes < 2:
        return
    found = widened(case, loss, classes)
    if found is not None:
        does = f"gives the last layer an output for each of the {classes} classes"
        yield Change.of("fit-width", does, found[0], [found[1]])
    if lowest == 1.0 and classes == seen.get("outputs", math.nan) + 1:
        yield from _from_nought(case)


def _from_nought(case: Case) -> Iterator[Change]:
    """Classes that are numbered from 1 are numbered from 0."""
    call = case.loss_call
    if call is None or not isinstance(call.node, ast.Call) or len(call.node.args) < 2:
        return
    edit = call.source.wrap(call.node.args[1], "{} - 1")
    yield Change.of("count-from-nought", "numbers the classes from 0", call.source, [edit])


def _amounts(case: Case) -> Iterator[Change]:
    """Distances for amounts, in place of cross-entropy."""
    target = case.loss.target if case.loss is not None else None
    ways = [("MSELoss", "mse_loss"), ("HuberLoss", "huber_loss")]
    if target is not None and target.max - target.min > 12 * target.std:
        ways.reverse()  # few rows lie far out, and squares would be ruled by them
    for found in (case.loss_module, case.loss_call):
        call = found.node if found is not None else None
        name = last_name(call.func) if isinstance(call, ast.Call) else ""
        if found is None or not isinstance(call, ast.Call):
            continue
        if name not in ("CrossEntropyLoss", "NLLLoss", "cross_entropy", "nll_loss"):
            continue
        end = found.source.span(call.func)[1]
        for module, function in ways:
            edit = Edit(end - len(name), end, module if name[:1].isupper() else function)
            does = "measures distances, as amounts are asked for"
            told = f"use-{function.replace('_', '-')}"
            yield Change.of(told, does, found.source, [edit], alters_loss=True)


TABLE: Mapping[str, tuple[Remedy, ...]] = {"wrong-output-width": (fit_width,)}
