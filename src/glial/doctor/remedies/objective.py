"""Losses: of one shape with their targets, averaged, finite, and of the kind that the task asks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from glial.doctor.evidence import LossSeen
from glial.doctor.measures import BINARY, DISTANCES
from glial.doctor.remedies.program.case import Case, Found, Remedy
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source, last_name
from glial.doctor.remedies.program.taking import last_made, simple_at, without_layer
from glial.doctor.remedies.widths import widened

# torch's loss functions and the modules that compute them.
MODULES = {
    "cross_entropy": "CrossEntropyLoss",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "mse_loss": "MSELoss",
}
_FLAT = ("squeeze", "flatten", "ravel", "view", "reshape")
_LOGARITHMS = ("log", "log2", "log10", "log_")
_ROOTS = ("sqrt", "sqrt_", "rsqrt")


def arguments(call: ast.Call, *names: str) -> list[ast.expr]:
    """The first arguments of a call, by position or by name."""
    given = list(call.args[: len(names)])
    named = {k.arg: k.value for k in call.keywords}
    return given + [named[name] for name in names[len(given) :] if name in named]


def compared(case: Case) -> Iterator[tuple[Source, ast.expr, ast.expr]]:
    """Outputs and targets as they are written where a loss compares them."""
    found, loss = case.loss_call, case.loss
    if found is not None and isinstance(found.node, ast.Call):
        pair = arguments(found.node, "input", "target")
        if len(pair) == 2:
            yield found.source, pair[0], pair[1]
    for place in dict.fromkeys([case.finding.at, *(loss.functions_at if loss else ())]):
        source = case.sources.of(place)
        if source is None or place is None or (loss and loss.name != "hand-written"):
            continue
        for statement in simple_at(source, place.line):
            for node in ast.walk(statement):
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
                    yield source, node.left, node.right


def give_one_shape(case: Case) -> Iterator[Change]:
    """Outputs and targets are given the same shape."""
    losses = case.evidence.losses
    pairs = [loss.broadcast[0] for loss in losses if loss.broadcast and loss.at == case.finding.at]
    pairs = pairs or [loss.broadcast[0] for loss in losses if loss.broadcast]
    if not pairs:
        return
    out, target = pairs[0]
    name = "give-one-shape"
    for source, outputs, targets in compared(case):
        for one in (targets, outputs):
            undone = _reshaped(source, one)
            if undone is not None:
                does = "leaves the shape as it was, which is that of the other"
                yield Change.of(name, does, source, [undone], alters_loss=True)
        other = "takes the column of outputs as a row, as the targets are"
        wider = outputs if len(out) > len(target) else targets
        narrower = targets if wider is outputs else outputs
        if wider is targets:
            other = "takes the column of targets as a row, as the outputs are"
        known = len(re.findall(r"squeeze|flatten\(|view\(-1\)|\[:, 0\]|ravel", source.text))
        inside = list(_flat_outputs(case)) if wider is outputs else []
        if not known:
            yield from inside
        yield Change.of(
            name, other, source, [_method(source, wider, "squeeze(-1)")], alters_loss=True
        )
        does = "makes both columns"
        yield Change.of(
            name, does, source, [_method(source, narrower, "unsqueeze(-1)")], alters_loss=True
        )
        if known:
            yield from inside
        return


def _reshaped(source: Source, value: ast.expr) -> Edit | None:
    """``y`` in place of ``y.squeeze(1)``, ``y.unsqueeze(1)``, ``y[:, None]`` and the like."""
    if isinstance(value, ast.Call) and last_name(value.func) in (*_FLAT, "unsqueeze"):
        return source.unwrap(value)
    if isinstance(value, ast.Subscript):
        inside = source.code(value.slice).replace(" ", "")
        if inside in (":,None", "...,None", ":,0", "...,0"):
            return source.replace(value, source.code(value.value))
    return None


def _method(source: Source, value: ast.expr, call: str) -> Edit:
    """A method of a value is called."""
    whole = isinstance(value, ast.Name | ast.Call | ast.Attribute | ast.Subscript)
    return source.wrap(value, f"{{}}.{call}" if whole else f"({{}}).{call}")


def _flat_outputs(case: Case) -> Iterator[Change]:
    """The network gives a number for each row, without a column around it."""
    model = case.model
    does = "lets the network give a number for each row, as the targets are"
    for source in case.files if model is not None else ():
        for node in source.nodes:
            own = isinstance(node, ast.ClassDef) and model is not None and node.name == model.kind
            for inner in ast.walk(node) if own else ():
                if isinstance(inner, ast.FunctionDef) and inner.name == "forward":
                    last = inner.body[-1]
                    if isinstance(last, ast.Return) and last.value is not None:
                        edit = _method(source, last.value, "squeeze(-1)")
                        yield Change.of("give-one-shape", does, source, [edit], alters_loss=True)


def average(case: Case) -> Iterator[Change]:
    """The loss is averaged over the rows, not summed."""
    loss, name = case.loss, "average-loss"
    whole = list(_whole_average(case))
    if loss is not None and {"add", "__add__"} & set(loss.functions):
        yield from whole
    does = "averages the loss over the rows"
    for found in (case.loss_module, case.loss_call):
        call = found.node if found is not None else None
        if found is None or not isinstance(call, ast.Call):
            continue
        for argument in ("reduction", "size_average"):
            gone = found.source.without_argument(call, argument)
            if gone is not None:
                yield Change.of(name, does, found.source, [gone], alters_loss=True)
    yield from whole


def _whole_average(case: Case) -> Iterator[Change]:
    """A sum of several losses over the rows is divided by their number."""
    found = case.loss_call
    if found is None or not isinstance(found.node, ast.Call):
        return
    source, given = found.source, arguments(found.node, "input", "target")
    if len(given) < 2:
        return
    around = source.function_of(found.node)
    ends = [n for n in around.body if isinstance(n, ast.Return)] if around else []
    rows = _root(source, given[1], "")
    value = ends[-1].value if ends else found.node
    if value is not None and isinstance(rows, ast.Name | ast.Attribute | ast.Subscript):
        tight = isinstance(value, ast.Name | ast.Call)
        template = ("{}" if tight else "({})") + f" / len({source.code(rows)})"
        does = "divides the summed loss by the number of rows"
        edit = source.wrap(value, template)
        yield Change.of("average-loss", does, source, [edit], alters_loss=True)


def _root(source: Source, value: ast.expr, model: str) -> ast.expr:
    """What methods and indices were applied to: ``out`` of ``out.max(1).values``."""
    while True:
        if isinstance(value, ast.Attribute | ast.Subscript):
            if isinstance(value, ast.Attribute) and source.code(value.value) == "self":
                return value
            value = value.value
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            if source.code(value.func) in (model, f"self.{model}"):
                return value
            below = source.operand(value)
            if below is None:
                return value
            value = below
        else:
            return value


def guard_numbers(case: Case) -> Iterator[Change]:
    """Logarithms and roots are kept from what they have no finite answer or slope for."""
    at = case.finding.at
    places = [at] if at is not None else []
    for loss in case.evidence.losses:
        for name, place in zip(loss.functions, loss.functions_at, strict=False):
            if name in (*_LOGARITHMS, *_ROOTS) and place is not None:
                places.append(place)
    edits: dict[Source, list[Edit]] = {}
    for place in dict.fromkeys(places):
        source = case.sources.of(place)
        for call in source.calls_at(place.line, *_LOGARITHMS, *_ROOTS) if source else ():
            if source is not None:
                edits.setdefault(source, []).extend(_guarded(source, call))
    for source, guards in edits.items():
        if guards:
            does = "keeps logarithms and roots away from nought, where they are not finite"
            yield Change.of("guard-numbers", does, source, guards)


def _guarded(source: Source, call: ast.Call) -> list[Edit]:
    given = source.operand(call)
    if given is None or isinstance(given, ast.Constant):
        return []
    if last_name(call.func) in _ROOTS:
        return [_plus(source, given)]
    inner = last_name(given.func) if isinstance(given, ast.Call) else ""
    if isinstance(given, ast.Call) and inner == "softmax" and last_name(call.func) == "log":
        start, end = source.span(given.func)
        told = source.code(given)[: end - start - len("softmax")]
        rest = source.code(given)[end - start :]
        return [source.replace(call, f"{told}log_softmax{rest}")]
    if isinstance(given, ast.Call) and inner == "sigmoid" and last_name(call.func) == "log":
        below = source.operand(given)
        path, more = source.refer("torch.nn.functional.logsigmoid")
        return [source.replace(call, f"{path}({source.code(below)})"), *more] if below else []
    if "eps" in source.code(given) or re.search(r"1e-\d|clamp", source.code(given)):
        return []
    return [_method(source, given, "clamp(min=1e-8)")]


def _plus(source: Source, given: ast.expr) -> Edit:
    """A small number is added."""
    call = source.parents[given]
    receiver = isinstance(call, ast.Attribute)
    start, end = source.span(given)
    bracketed = source.text[start - 1 : start] == "(" and source.text[end : end + 1] == ")"
    code = f"{source.code(given)} + 1e-12"
    return Edit(start, end, f"({code})" if receiver and not bracketed else code)


def fit_loss(case: Case) -> Iterator[Change]:
    """The loss becomes one that measures what the task is about."""
    loss = case.loss
    if loss is None or loss.target is None:
        return
    target = loss.target
    wide = len(target.shape) == 2 and target.shape[1] > 1
    if loss.name in DISTANCES and wide and set(target.counts) == {"0", "1"}:
        yield from _other_loss(case, loss, "cross_entropy", bare=True)
    elif loss.name in DISTANCES and set(target.counts) == {"0", "1"}:
        yield from _other_loss(case, loss, "binary_cross_entropy", bare=False)
    elif loss.name in DISTANCES:
        yield from classify(case)
    elif loss.name in BINARY:
        yield from _other_loss(case, loss, "mse_loss", bare=True)
    elif "0" in target.counts:
        for source, _, targets in compared(case):
            edit = source.replace(targets, f"2 * {_bracketed(source, targets)} - 1")
            does = "gives the loss targets of -1 and 1"
            yield Change.of("targets-of-hinge", does, source, [edit], alters_loss=True)


def _bracketed(source: Source, value: ast.expr) -> str:
    whole = isinstance(value, ast.Name | ast.Call | ast.Attribute | ast.Subscript)
    return source.code(value) if whole else f"({source.code(value)})"


def _other_loss(case: Case, loss: LossSeen, name: str, *, bare: bool) -> Iterator[Change]:
    """Another loss on the same outputs and targets; ``bare`` takes the last activation off."""
    made = case.loss_module or case.loss_call
    if made is None or not isinstance(made.node, ast.Call):
        return
    source, edits = made.source, _renamed(made, name)
    if bare and loss.output_function in ("softmax", "sigmoid"):
        for where, call in last_made(case, loss):
            if where is source:
                edits = [*edits, *without_layer(source, call)]
                break
    does = f"takes {name} in place of {loss.name}"
    yield Change.of(f"use-{name.replace('_', '-')}", does, source, edits, alters_loss=True)


def _renamed(made: Found, name: str) -> list[Edit]:
    """Edits that call another loss, with nothing but outputs and targets."""
    call, source = made.node, made.source
    if not isinstance(call, ast.Call):
        return []
    module = last_name(call.func)[:1].isupper()
    owner = source.code(call.func).rpartition(".")[0]
    other = MODULES[name] if module else name
    path = f"{owner}.{other}"
    more: list[Edit] = []
    if not owner:
        path, more = source.refer(f"torch.nn.{other}" if module else f"torch.nn.functional.{name}")
    pair = [source.code(one) for one in arguments(call, "input", "target")]
    return [source.replace(call, f"{path}({'' if module else ', '.join(pair)})"), *more]


def classify(case: Case) -> Iterator[Change]:
    """Cross-entropy over an output for each class, where class numbers were taken as amounts."""
    loss, found = case.loss, case.loss_call
    if loss is None or loss.target is None or found is None or not isinstance(found.node, ast.Call):
        return
    source, call, classes = found.source, found.node, round(loss.target.max) + 1
    pair = arguments(call, "input", "target")
    if len(pair) < 2 or classes < 2:
        return
    models = [m for m in case.evidence.models if m.name == loss.model]
    shape = models[0].outputs["train"].shape if models and "train" in models[0].outputs else []
    root = _root(source, pair[0], loss.model or "")
    target = pair[1]
    while isinstance(target, ast.Call) and last_name(target.func) in (
        *("float", "double", "to", "type", "unsqueeze", "view", "reshape", "squeeze"),
    ):
        below = source.operand(target)
        if below is None:
            break
        target = below
    bare = target is not pair[1] and "float" in source.code(pair[1])
    named = _bracketed(source, target) + ("" if bare else ".long()")
    path, more = source.refer("torch.nn.functional.cross_entropy")
    edits = [source.replace(call, f"{path}({source.code(root)}, {named})"), *more]
    if shape[1:2] != [classes]:
        wider = widened(case, loss, classes)
        if wider is None or wider[0] is not source:
            return
        edits.append(wider[1])
    does = f"takes cross-entropy over an output for each of the {classes} classes"
    yield Change.of("use-cross-entropy", does, source, edits, alters_loss=True)


TABLE: Mapping[str, tuple[Remedy, ...]] = {
    "shape-broadcast": (give_one_shape,),
    "wrong-reduction": (average,),
    "unsafe-numerics": (guard_numbers,),
    "loss-not-finite": (guard_numbers,),
    "wrong-loss": (fit_loss,),
}
