"""What each place of a sequence, or each state, has to predict."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from glial.doctor.remedies.program.alterations import number
from glial.doctor.remedies.program.arrays import Arrays
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source, last_name

ENDS = re.compile(r"(?:^|_)(?:dones?|terminals?|terminated|ended|ends?|over|last)(?:_|$)")


def shift_targets(case: Case) -> Iterator[Change]:
    """Each place predicts the next token."""
    numbers = case.finding.evidence
    if numbers.get("targets_that_are_the_token_itself", 0.0) > 0.95:
        by = 1
    elif numbers.get("two_ahead", 0.0) > 0.95:
        by = -1
    elif numbers.get("one_behind", 0.0) > 0.95:
        by = 2
    else:
        return
    found = _calls(case)
    if found is None:
        return
    source, call, loss = found
    if by == -1:
        edits = _unshifted(source, loss)
        if edits:
            yield _shifted(source, edits)
    targets = _asked(loss)
    inputs = [n.id for n in _names(call.args)]
    if by == 1:
        for name in targets:
            if name in inputs:
                yield _shifted(source, _apart(source, name, call, loss))
    for name in targets:
        for node in _slices_of(source, name):
            moved = _moved(source, node, by)
            if moved is not None:
                yield _shifted(source, [moved])
                return


def _calls(case: Case) -> tuple[Source, ast.Call, ast.Call] | None:
    """Where the network is called to learn, and its loss, if they stand in one file."""
    call, loss = Arrays(case).training_call, case.loss_call
    if call is None or loss is None or loss.source is not call.source:
        return None
    if not isinstance(loss.node, ast.Call) or not isinstance(call.node, ast.Call):
        return None
    return call.source, call.node, loss.node


def _asked(loss: ast.Call) -> list[str]:
    """The variables that a loss is given as its targets."""
    return [n.id for n in _names([*loss.args[1:], *(k.value for k in loss.keywords)])]


def _shifted(source: Source, edits: list[Edit]) -> Change:
    return Change.of(
        "shift-targets",
        "has each place predict the token that comes next",
        source,
        edits,
        alters_loss=True,
    )


def _names(nodes: list[ast.expr]) -> list[ast.Name]:
    return [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)]


def _apart(source: Source, name: str, call: ast.Call, loss: ast.Call) -> list[Edit]:
    """The network is given all tokens but the last, the loss all but the first."""
    edits = [source.replace(n, f"{name}[:, :-1]") for n in _names(call.args) if n.id == name]
    inside = set(ast.walk(call))
    given = [*loss.args[1:], *(k.value for k in loss.keywords)]
    edits += [
        source.replace(n, f"{name}[:, 1:]")
        for n in _names(given)
        if n.id == name and n not in inside
    ]
    for node in ast.walk(loss):  # a slice lies in pieces
        if isinstance(node, ast.Attribute) and node.attr == "view":
            end = source.span(node)[1]
            edits.append(Edit(end - 4, end, "reshape"))
    return edits


def _unshifted(source: Source, loss: ast.Call) -> list[Edit]:
    """A second shift, within the loss, is taken out."""
    edits = []
    for node in ast.walk(loss):
        if isinstance(node, ast.Subscript) and source.code(node.slice).replace(" ", "") in (
            ":,:-1",
            ":,1:",
            "...,:-1",
            "...,1:",
            ":,:-1,:",
            "...,:-1,:",
        ):
            edits.append(source.replace(node, source.code(node.value)))
    return edits if len(edits) > 1 else []


def _slices_of(source: Source, name: str, hops: int = 3) -> Iterator[ast.Subscript]:
    """The slices that cut a variable, where it is set or in the function that gives it."""
    for one in reversed(source.assignments(name)):
        if not isinstance(one, ast.Assign):
            continue
        value: ast.expr = one.value
        names = [source.code(t) for t in getattr(one.targets[0], "elts", [])]
        if isinstance(value, ast.Tuple) and name in names:
            value = value.elts[names.index(name)]
        elif isinstance(value, ast.Call) and hops:
            for given in _returned(source, value):
                if isinstance(given, ast.Tuple) and name in names:
                    given = given.elts[names.index(name)]
                if isinstance(given, ast.Name):
                    yield from _slices_of(source, given.id, hops - 1)
        found = [
            n
            for n in ast.walk(value)
            if isinstance(n, ast.Subscript)
            and any(isinstance(p, ast.Slice) and (p.lower or p.upper) for p in ast.walk(n.slice))
        ]
        if found:
            yield found[0]


def _returned(source: Source, call: ast.Call) -> Iterator[ast.expr]:
    """What a function of the file returns where it is called."""
    for function in source.nodes:
        if isinstance(function, ast.FunctionDef) and function.name == last_name(call.func):
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and node.value is not None:
                    yield node.value


def _moved(source: Source, node: ast.Subscript, by: int) -> Edit | None:
    """A slice that begins and ends some places later."""
    parts = [n for n in ast.walk(node.slice) if isinstance(n, ast.Slice) and (n.lower or n.upper)]
    if not parts:
        return None
    part = parts[-1]
    lower = _plus(source, part.lower, by) if part.lower is not None else (f"{by}" if by > 0 else "")
    upper = _plus(source, part.upper, by) if part.upper is not None else ""
    if part.upper is not None and (number(part.upper) or 0) < 0:
        upper = "" if (number(part.upper) or 0) + by >= 0 else f"{(number(part.upper) or 0) + by:g}"
    if lower.startswith("-"):
        return None
    start = source.span(node.value)[1]
    held = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    places = [
        _slice(source, one) if isinstance(one, ast.Slice) else source.code(one) for one in held
    ]
    places[held.index(part)] = f"{'' if lower == '0' else lower}:{upper}"
    return Edit(start, source.span(node)[1], f"[{', '.join(places)}]")


def _slice(source: Source, node: ast.Slice) -> str:
    lower = source.code(node.lower) if node.lower is not None else ""
    upper = source.code(node.upper) if node.upper is not None else ""
    return f"{lower}:{upper}"


def _plus(source: Source, node: ast.expr, by: int) -> str:
    """An expression and a number, added up as far as it is written out."""
    value = number(node)
    if value is not None:
        return f"{value + by:g}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for kept, last in ((node.left, number(node.right)), (node.right, number(node.left))):
            if last is not None:
                rest = last + by
                return f"{source.code(kept)} + {rest:g}" if rest else source.code(kept)
    return f"{source.code(node)} {'+' if by > 0 else '-'} {abs(by)}"


def shift_inputs(case: Case) -> Iterator[Change]:
    """A decoder is given what it must say from a start on, and without its end."""
    if case.finding.evidence.get("targets_that_are_the_token_itself", 0.0) <= 0.95:
        return
    found = _calls(case)
    if found is None:
        return
    source, call, loss = found
    starts = [
        source.code(one.args[1])
        for one in source.calls("full")
        if len(one.args) > 1 and isinstance(one.args[0], ast.Tuple) and one.args[0].elts
        if number(one.args[0].elts[-1]) == 1
    ]
    asked = _asked(loss)
    for given in call.args[1:] if starts else ():
        made = source.assignments(source.code(given))
        values = [one.value for one in made if isinstance(one, ast.Assign)]
        for value in [*(v for v in values if isinstance(v, ast.Name)), given]:
            if isinstance(value, ast.Name) and value.id in asked:
                torch, more = source.refer("torch")
                y = value.id
                begun = f"{torch}.full_like({y}[:, :1], {starts[0]})"
                text = f"{torch}.cat([{begun}, {y}[:, :-1]], 1)"
                yield _shifted(source, [*more, source.replace(value, text)])
                return


def stop_at_ends(case: Case) -> Iterator[Change]:
    """Values of what follows count only where something follows."""
    if "unused_marks" not in case.finding.evidence:
        return
    call = Arrays(case).training_call
    if call is None:
        return
    source = call.source
    function = source.function_of(call.node)
    around = function or source.tree
    names = {n.id for n in ast.walk(around) if isinstance(n, ast.Name) and _is_stored(n)}
    kept = _kept_as(source, around)
    marks = [new for old, new in kept.items() if ENDS.search(old)]
    marks += sorted(name for name in names if ENDS.search(name))
    rewards = {"r", "rs", "R", *(new for old, new in kept.items() if old in ("r", "reward"))}
    for node in ast.walk(around):
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
            continue
        reward, later = source.code(node.left), node.right
        if "rew" not in reward.lower() and reward not in rewards:
            continue
        if isinstance(later, ast.BinOp) and isinstance(later.op, ast.Mult) and marks:
            yield Change.of(
                "stop-at-ends",
                "counts the value of what follows only where something follows",
                source,
                [source.replace(later, f"{source.code(later)} * (1 - {marks[0]}.float())")],
                alters_loss=True,
            )
            return


def _kept_as(source: Source, around: ast.AST) -> dict[str, str]:
    """What is appended to a memory as a tuple, and what its parts are called when it is read."""
    kept = [
        call.args[0].elts
        for call in source.calls("append")
        if len(call.args) == 1 and isinstance(call.args[0], ast.Tuple)
    ]
    read = [
        node.elts for node in ast.walk(around) if isinstance(node, ast.Tuple) and _is_stored(node)
    ]
    return {
        old.id: new.id
        for parts in kept
        for names in read
        if len(parts) == len(names)
        for old, new in zip(parts, names, strict=True)
        if isinstance(old, ast.Name) and isinstance(new, ast.Name)
    }


def _is_stored(node: ast.Name | ast.Tuple) -> bool:
    return isinstance(node.ctx, ast.Store)


TABLE = {
    "target-in-input": (shift_inputs, shift_targets),
    "wrong-target": (shift_targets, stop_at_ends),
}
