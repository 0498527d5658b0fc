"""Parameters that nothing trains: given to the optimiser, let go, joined to the loss again."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from glial.doctor.evidence import ParameterSeen
from glial.doctor.remedies.program.case import Case, Remedy
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source, last_name

_TERM = re.compile(r"loss|penal|kl|reg|commit|aux|diverg", re.IGNORECASE)
_GROWS = ("add_module", "register_module", "append", "extend", "insert")


def _untrained(case: Case) -> list[ParameterSeen]:
    """The parameters of the network that nothing changes, those of the named layer first."""
    model = case.model
    if model is None:
        return []
    lost = [p for p in model.parameters if p.optimizer is None or not p.trainable or not p.reached]
    return sorted(lost, key=lambda p: p.layer != case.path)


def make_optimizer_later(case: Case) -> Iterator[Change]:
    """The optimiser is made when the network is complete."""
    made, lost = case.optimizer_call, [p for p in _untrained(case) if p.optimizer is None]
    if made is None or case.model is None or not lost:
        return
    source, first = made.source, made.source.statement(made.node)
    block = source.block(first)
    name = _called(case, source, first) or case.model.name
    later = block[block.index(first) + 1 :]
    training = {id(one) for one in _holders(case, source)}
    ends = [n for n, statement in enumerate(later) if id(statement) in training]
    later = later[: ends[0]] if ends else later
    lines = {p.at.line for p in lost if p.at is not None and case.sources.of(p.at) is source}
    anew = [s for s in later if _alters(source, s, name) or lines & set(_lines(s))]
    if not anew:
        return
    target = source.code(first.targets[0]) if isinstance(first, ast.Assign) else ""
    moved = [first]
    for statement in later[: later.index(anew[-1])]:
        names = [n for n in ast.walk(statement) if isinstance(n, ast.Name | ast.Attribute)]
        if statement not in anew and target and any(source.code(n) == target for n in names):
            moved.append(statement)
    text = "\n".join(source.lines(one) for one in moved)
    edits = [*(source.remove(one) for one in moved), source.after(anew[-1], text)]
    does = "makes the optimiser after the network is complete"
    yield Change.of("make-optimizer-later", does, source, edits)


def _holders(case: Case, source: Source) -> Iterator[ast.AST]:
    """What is around the step and the backward pass."""
    for found in (case.step, case.backward):
        if found is not None and found.source is source:
            yield from [source.statement(found.node), *source.ancestors(found.node)]


def _lines(statement: ast.stmt) -> range:
    return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)


def _alters(source: Source, statement: ast.stmt, name: str) -> bool:
    """Whether a statement makes a network anew, or a part of it."""
    call = getattr(statement, "value", None)
    if isinstance(statement, ast.Expr) and isinstance(call, ast.Call):
        owner = source.code(call.func)
        return owner.startswith(f"{name}.") and last_name(call.func) in _GROWS
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    written = [source.code(target) for target in targets]
    return any(one == name or one.startswith((f"{name}.", f"{name}[")) for one in written)


def give_all_parameters(case: Case) -> Iterator[Change]:
    """The optimiser is given every parameter of the network."""
    made, lost = case.optimizer_call, [p for p in _untrained(case) if p.optimizer is None]
    if made is None or case.model is None or not lost or not isinstance(made.node, ast.Call):
        return
    source, call = made.source, made.node
    named = [k.value for k in call.keywords if k.arg == "params"]
    given = next(iter([*call.args[:1], *named]), None)
    name = _called(case, source, call)
    if given is None or name is None:
        return
    code, whole = source.code(given), f"{name}.parameters()"
    owners = [
        source.code(c.func.value)
        for c in ast.walk(given)
        if isinstance(c, ast.Call)
        and isinstance(c.func, ast.Attribute)
        and c.func.attr in ("parameters", "named_parameters")
    ]
    own = all(owner == name or owner.startswith((f"{name}.", f"{name}[")) for owner in owners)
    if code == whole or (not own and f"{name}.parameters" in code):
        return
    groups = isinstance(given, ast.List) and any(isinstance(e, ast.Dict) for e in given.elts)
    if groups and isinstance(given, ast.List):
        parts = dict.fromkeys(p.name.partition(".")[0] for p in lost) if own else {}
        added = [f"{{'params': {name}.{part}.parameters()}}" for part in parts]
        added = [one.replace("'", '"') for one in added] or [f'{{"params": {whole}}}']
        end = source.span(given.elts[-1])[1]
        edit = Edit(end, end, "".join(f", {one}" for one in added))
    elif own:
        edit = source.replace(given, whole)
    elif isinstance(given, ast.BinOp):
        edit = source.replace(given, f"{code} + list({whole})")
    else:
        edit = source.replace(given, f"[*{code}, *{whole}]")
    does = "gives the optimiser every parameter that is meant to learn"
    yield Change.of("give-all-parameters", does, source, [edit])


def _called(case: Case, source: Source, near: ast.AST) -> str | None:
    """What the network is called where a node stands."""
    model = case.model
    if model is None:
        return None
    written = source.spelled(model.name, near)
    around = source.function_of(near)
    for statement in source.assignments(model.name) if written is None else ():
        before = statement.lineno < getattr(near, "lineno", 0)
        if before and source.function_of(statement) in (None, around):
            return model.name
    classes = [above for above in source.ancestors(near) if isinstance(above, ast.ClassDef)]
    own = written is None and any(one.name == model.kind for one in classes)
    return "self" if own else written


def unfreeze(case: Case) -> Iterator[Change]:
    """Nothing sets parameters not to learn."""
    if not any(not p.trainable for p in _untrained(case)):
        return
    for source in case.files:
        frozen = [s for s in source.nodes if isinstance(s, ast.stmt) and _freezes(source, s)]
        edits = [source.remove(_whole_loop(source, s)) for s in frozen]
        does = "lets the frozen parameters learn"
        for edit in edits:
            yield Change.of("unfreeze", does, source, [edit])
        if len(edits) > 1:
            yield Change.of("unfreeze-all", does, source, edits)


def _freezes(source: Source, statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        code = [source.code(target) for target in statement.targets]
        value = source.code(statement.value)
        return value == "False" and any(one.endswith(".requires_grad") for one in code)
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or last_name(call.func) != "requires_grad_":
        return False
    return [source.code(a) for a in (*call.args, *(k.value for k in call.keywords))] == ["False"]


def _whole_loop(source: Source, statement: ast.stmt) -> ast.stmt:
    """The loop around a statement, where it does nothing else."""
    parent = source.parents[statement]
    alone = len(source.block(statement)) == 1
    return parent if alone and isinstance(parent, ast.For | ast.If) else statement


def add_lost_term(case: Case) -> Iterator[Change]:
    """A term that is computed beside the loss, and that nothing takes, is added to it."""
    summed = case.descended
    value = getattr(summed.node, "value", None) if summed is not None else None
    if summed is None or not isinstance(value, ast.Call | ast.BinOp | ast.Name):
        return
    source, around = summed.source, summed.source.function_of(value)
    names = [n for n in source.nodes if isinstance(n, ast.Name) and source.function_of(n) is around]
    read = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    block = source.parents[source.statement(value)]
    for name in names:
        lost = isinstance(name.ctx, ast.Store) and name.id not in read
        above = source.parents[source.statement(name)] is block and name.lineno < value.lineno
        beside = above or isinstance(source.parents[name], ast.Tuple)
        if lost and beside and _TERM.search(name.id):
            does = f"adds {name.id}, which nothing takes, to the loss"
            edit = source.wrap(value, f"{{}} + {name.id}")
            yield Change.of("add-term", does, source, [edit], alters_loss=True)


def join_again(case: Case) -> Iterator[Change]:
    """What cuts layers off from the loss is taken away."""
    if not any(p.trainable and p.optimizer and not p.reached for p in _untrained(case)):
        return
    at, loss = case.finding.at, case.loss
    places = [at, loss.cut_at if loss is not None else None]
    does = "lets the gradient through to the layers that it did not reach"
    for place in dict.fromkeys(p for p in places if p is not None):
        source = case.sources.of(place)
        for edit in _joined(source, place.line, place.line) if source is not None else ():
            if source is not None:
                yield Change.of("join-again", does, source, [edit])
    for source in case.files:
        taken = case.backward if case.backward and case.backward.source is source else None
        loops = source.loops_of(taken.node)[:1] if taken is not None else []
        for node in source.nodes:
            asked = isinstance(node, ast.FunctionDef) and node.name == "forward"
            if isinstance(node, ast.stmt) and (asked or node in loops):
                for edit in _joined(source, node.lineno, node.end_lineno or node.lineno):
                    yield Change.of("join-again", does, source, [edit])


def _joined(source: Source, first: int, last: int) -> Iterator[Edit]:
    """Edits between two lines, each of which takes one cut away."""
    for node in source.nodes:
        if not isinstance(node, ast.expr | ast.stmt) or not first <= node.lineno <= last:
            continue
        if isinstance(node, ast.Call) and last_name(node.func) == "detach":
            edit = source.unwrap(node)
            if edit is not None and not _only_told(source, node):
                yield edit
        elif isinstance(node, ast.Attribute) and node.attr == "data":
            if isinstance(node.ctx, ast.Load) and not _only_told(source, node):
                yield source.replace(node, source.code(node.value))
        elif isinstance(node, ast.With) and len(node.items) == 1:
            call = node.items[0].context_expr
            kind = last_name(call.func) if isinstance(call, ast.Call) else ""
            if kind in ("no_grad", "inference_mode"):
                yield source.unblock(node)


def _only_told(source: Source, node: ast.AST) -> bool:
    """Whether what is cut off is only printed, kept or drawn."""
    calls = [above for above in source.ancestors(node) if isinstance(above, ast.Call)]
    numbers = ("item", "numpy", "cpu", "tolist", "print", "append", "float", "clone")
    return any(last_name(call.func) in numbers for call in calls)


TABLE: Mapping[str, tuple[Remedy, ...]] = {
    "untrained-parameters": (
        make_optimizer_later,
        give_all_parameters,
        unfreeze,
        add_lost_term,
        join_again,
    ),
}
