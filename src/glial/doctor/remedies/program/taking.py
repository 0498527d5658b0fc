"""Where a layer or a function stands between a network's layers and its loss, and taking it out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from glial.core.findings import Place
from glial.doctor.evidence import LayerSeen, LossSeen
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.source import Edit, Source, last_name

CONTAINERS = ("Sequential", "ModuleList")


def calls_of(source: Source, line: int, name: str) -> Iterator[ast.Call]:
    """Calls at a line that do what a function of torch does, however that is spelled."""
    plain = name.strip("_").replace("_", "").lower()
    for call in source.calls_at(line):
        if last_name(call.func).strip("_").replace("_", "").lower() == plain:
            yield call


def simple_at(source: Source, line: int) -> list[ast.stmt]:
    """The statements without a block of their own that hold a line: several may share it."""
    found = source.statements_at(line)
    return [one for one in found if not hasattr(one, "body")] or found[:1]


def last_made(case: Case, loss: LossSeen) -> Iterator[tuple[Source, ast.Call]]:
    """What made the outputs that a loss is given: a module's making, or a function's call."""
    name = loss.output_function or ""
    places: list[Place | None] = []
    for model in case.evidence.models:
        for layer in model.layers:
            if layer.name == loss.output_layer and loss.model in (None, model.name):
                found = case.maker(layer)
                if found is not None and isinstance(found.node, ast.Call):
                    yield found.source, found.node
                places.append(layer.at)
    if name in loss.functions:
        places.append(loss.functions_at[loss.functions.index(name)])
    for place in places:
        source = case.sources.of(place)
        if source is not None and place is not None:
            for call in calls_of(source, place.line, name):
                yield source, call
    given = case.loss_call
    if given is None or not isinstance(given.node, ast.Call):
        return
    for inner in ast.walk(given.node):
        if isinstance(inner, ast.Call) and inner in calls_of(given.source, inner.lineno, name):
            yield given.source, inner


def made_by(case: Case, layer: LayerSeen) -> Iterator[tuple[Source, ast.Call]]:
    """A layer's making, or a function's call."""
    found = case.maker(layer)
    if found is not None and isinstance(found.node, ast.Call):
        yield found.source, found.node
    source = case.sources.of(layer.at)
    if source is not None and layer.at is not None:
        for call in calls_of(source, layer.at.line, layer.kind):
            yield source, call


def without_layer(source: Source, made: ast.Call) -> list[Edit]:
    """Edits after which a layer that was made somewhere is not called any more; [] if unclear."""
    parent = source.parents[made]
    kind = last_name(made.func)
    if not kind[:1].isupper():  # a function's call
        given = _named_before(source, made)
        edit = given or source.unwrap(made)
        return [edit] if edit is not None else []
    if isinstance(parent, ast.Call) and parent.func is made:  # nn.Softmax(dim=1)(x)
        edit = source.unwrap(parent)
        return [edit] if edit is not None else []
    if isinstance(parent, ast.Tuple) and isinstance(source.parents[parent], ast.List):
        return [source.without(parent)]  # OrderedDict([("out", nn.Softmax(dim=1))])
    if isinstance(parent, ast.List | ast.Tuple):
        return [source.without(made)]
    if isinstance(parent, ast.Call) and made in parent.args:
        if last_name(parent.func) in ("append", "add_module", "register_module"):
            return [source.remove(source.statement(parent))]
        if last_name(parent.func) in CONTAINERS:
            return [source.without(made)] if len(parent.args) > 1 else []
    if isinstance(parent, ast.Call | ast.keyword):  # handed over: mlp(64, 10, nn.Softmax(dim=1))
        return instead(source, made, "Identity")
    if isinstance(parent, ast.Assign):
        return _uncalled(source, parent, source.code(parent.targets[0]))
    return []


def _named_before(source: Source, call: ast.Call) -> Edit | None:
    """Of ``p = softmax(out)``, whose ``p`` a loss is given, the loss is given ``out`` instead."""
    statement, given = source.statement(call), source.operand(call)
    if not isinstance(statement, ast.Assign) or statement.value is not call:
        return None
    name = source.code(statement.targets[0])
    if given is None or not isinstance(given, ast.Name) or source.code(given) == name:
        return None
    around = source.function_of(call)
    uses = [
        one
        for one in source.nodes
        if isinstance(one, ast.Name | ast.Attribute)
        and isinstance(one.ctx, ast.Load)
        and source.code(one) == name
        and source.function_of(one) is around
        and one.lineno > statement.lineno
    ]
    return source.replace(uses[0], source.code(given)) if len(uses) > 1 else None


def _uncalled(source: Source, made: ast.Assign, name: str) -> list[Edit]:
    """Edits that take the last call of a module out, and its making where that was its only one."""
    written = [call for call in source.calls() if source.code(call.func) == name]
    uses = [
        call
        for call in written
        if name.startswith("self.") or source.function_of(call) is source.function_of(made)
    ]
    edit = source.unwrap(uses[-1]) if uses else None
    if edit is None:
        return []
    return [edit, source.remove(made)] if len(uses) == 1 else [edit]


def instead(source: Source, made: ast.Call, kind: str) -> list[Edit]:
    """Edits that put another activation in a layer's or a function's place.

    Args:
        source: The file.
        made: The layer's making, or the function's call.
        kind: The other's class: ``Sigmoid``.
    """
    if last_name(made.func)[:1].isupper():
        path, more = source.refer(f"torch.nn.{kind}")
        owner = source.code(made.func).rpartition(".")[0]
        path = f"{owner}.{kind}" if owner else path
        return [source.replace(made, f"{path}()"), *([] if owner else more)]
    given = source.operand(made)
    if given is None:
        return []
    path, more = source.refer(f"torch.{kind.lower()}")
    return [source.replace(made, f"{path}({source.code(given)})"), *more]
