"""The loop: gradients cleared, taken and followed in their order, downhill, and let go."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from glial.doctor.remedies.program.case import Case, Found, Remedy
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source, last_name
from glial.doctor.remedies.program.taking import simple_at

_OPTIMIZERS = {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam", "RAdam"}
_OPTIMIZERS |= {"Adamax", "ASGD", "LBFGS", "Rprop", "SparseAdam", "Adafactor", "Muon"}
# What stands between the backward pass and the step.
_BETWEEN = {"clip_grad_norm_", "clip_grad_value_", "clip_gradients", "unscale_"}

# What made and real rows are labelled with.
_LABELS = {"zeros": "ones", "ones": "zeros", "zeros_like": "ones_like", "ones_like": "zeros_like"}


def clear_gradients(case: Case) -> Iterator[Change]:
    """Gradients are cleared before each backward pass, or after the step that used them."""
    name, does = "clear-gradients", "clears the gradients before each backward pass"
    step, backward = case.step, case.backward
    if step is None:
        if backward is not None and case.model is not None:  # updates by hand
            source, taken = backward.source, backward.source.statement(backward.node)
            model = source.spelled(case.model.name, backward.node)
            edit = source.before(taken, f"{model}.zero_grad()") if model else None
            yield from [Change.of(name, does, source, [edit])] if edit else []
        return
    source, stepped = step.source, step.source.statement(step.node)
    clear = f"{_stepped(case, step)}.zero_grad()"
    if backward is not None and backward.source is source:
        taken = source.statement(backward.node)
        own = _is_closure(step, source.function_of(taken))
        if own or (taken is not stepped and stepped in source.block(taken)):
            yield Change.of(name, does, source, [source.before(taken, clear)])
            return
    does = "clears the gradients after the step that used them"
    yield Change.of(name, does, source, [source.after(stepped, clear)])


def _stepped(case: Case, step: Found) -> str:
    """The optimiser as it is written where it steps: ``opt.step()``, ``scaler.step(opt)``."""
    call, source = step.node, step.source
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return "optimizer"
    owner = source.code(call.func.value)
    seen = case.optimizer
    for given in call.args[:1]:
        scaled = seen is not None and source.code(given).removeprefix("self.") == seen.name
        if scaled or "scaler" in owner.lower():
            return source.code(given)
    return owner


def _is_closure(step: Found, function: ast.AST | None) -> bool:
    """Whether a step is given a function that takes the gradients."""
    call = step.node
    given = [*call.args, *(k.value for k in call.keywords)] if isinstance(call, ast.Call) else []
    named = {last_name(one) for one in given}
    return isinstance(function, ast.FunctionDef) and function.name in named


def step_after_backward(case: Case) -> Iterator[Change]:
    """The optimiser steps once gradients are taken."""
    backward = case.backward
    if backward is None:
        return
    source = backward.source
    taken = source.statement(backward.node)
    for name in dict.fromkeys(_optimizers_at(case, source, taken)):
        receiver = source.code(getattr(getattr(backward.node, "func", None), "value", taken))
        scaler = receiver.partition(".scale(")
        if scaler[1]:
            lines = f"{scaler[0]}.step({name})"
            updates = f"{scaler[0]}.update()"
            lines += f"\n{updates}" if updates not in source.text else ""
        else:
            lines = f"{name}.step()"
        yield Change.of(
            "add-step",
            "lets the optimiser step after the backward pass",
            source,
            [source.after(_ready(source, taken), lines)],
        )


def _optimizers_at(case: Case, source: Source, taken: ast.stmt) -> Iterator[str]:
    """What optimisers are called where gradients are taken, the likeliest first."""
    around = source.function_of(taken)
    models = {model.name for model in case.evidence.models}
    for call in source.calls("zero_grad"):
        if source.function_of(call) is around and isinstance(call.func, ast.Attribute):
            name = source.code(call.func.value)
            if name.removeprefix("self.") not in models:
                yield name
    arguments = [a.arg for a in around.args.args] if around else []
    yield from [a for a in arguments if "opt" in a.lower()]
    made = case.optimizer_call
    for found in [made.node] if made and made.source is source else source.calls(*_OPTIMIZERS):
        statement = source.statement(found)
        if isinstance(statement, ast.Assign) and statement.value is found:
            name = source.code(statement.targets[0])
            near = source.function_of(statement) in (None, around)
            if near or name.startswith("self.") or name in arguments:
                yield name


def _ready(source: Source, taken: ast.stmt) -> ast.stmt:
    """The last statement before a step may follow: gradients may be clipped first."""
    behind = source.block(taken)
    behind = behind[behind.index(taken) :]
    ready = taken
    for statement in behind[1:]:
        if not any(last_name(c.func) in _BETWEEN for c in _calls_in(statement)):
            break
        ready = statement
    return ready


def _calls_in(node: ast.AST) -> list[ast.Call]:
    return [one for one in ast.walk(node) if isinstance(one, ast.Call)]


def order_calls(case: Case) -> Iterator[Change]:
    """Gradients are cleared, taken, and followed, in this order."""
    step, backward = case.step, case.backward
    if step is None or backward is None or step.source is not backward.source:
        return
    source = step.source
    stepped, taken = source.statement(step.node), source.statement(backward.node)
    beside = source.block(taken)
    if taken is stepped:
        return
    owner = _stepped(case, step)
    cleared = [s for s in beside if _clears(source, s, case, owner)]
    behind = beside.index(taken)
    if stepped in beside and beside.index(stepped) < behind:
        edits = [source.remove(stepped)]
        edits.append(source.after(_ready(source, taken), source.lines(stepped)))
        late = [s for s in cleared if beside.index(s) < beside.index(stepped)]
        if not late:
            edits = [*_earlier(source, cleared, taken), *edits]
        yield Change.of("order-calls", "moves the step behind the backward pass", source, edits)
        return
    after = [s for s in cleared if beside.index(s) > behind]
    if after and (stepped not in beside or beside.index(after[0]) < beside.index(stepped)):
        yield Change.of(
            "order-calls",
            "clears the gradients before the backward pass, not between it and the step",
            source,
            _earlier(source, after[:1], taken),
        )


def _clears(source: Source, statement: ast.stmt, case: Case, owner: str) -> bool:
    """Whether a statement does nothing but clear the gradients of the optimiser."""
    call = getattr(statement, "value", None)
    if not isinstance(statement, ast.Expr) or not isinstance(call, ast.Call):
        return False
    if last_name(call.func) != "zero_grad" or not isinstance(call.func, ast.Attribute):
        return False
    names = {owner} | {model.name for model in case.evidence.models}
    written = source.code(call.func.value)
    return written in names or written.removeprefix("self.") in names


def _earlier(source: Source, cleared: list[ast.stmt], taken: ast.stmt) -> list[Edit]:
    edits = [source.remove(s) for s in cleared]
    return edits + [source.before(taken, source.lines(s)) for s in cleared]


def descend(case: Case) -> Iterator[Change]:
    """A sign is turned, so that the loss falls."""
    name, does = "turn-sign", "takes the sign away that makes the loss grow"
    made = case.optimizer_call
    seen = case.optimizer
    if made is not None and isinstance(made.node, ast.Call) and seen is not None:
        gone = made.source.without_argument(made.node, "maximize")
        if gone is not None and seen.settings.get("maximize", 0.0) > 0:
            yield Change.of(name, does, made.source, [gone])
            return
    at, loss = case.finding.at, case.loss
    places = [at, *((loss.backward_at, loss.at) if loss is not None else ())]
    found = False
    for place in dict.fromkeys(p for p in places if p is not None):
        source = case.sources.of(place)
        if source is None:
            continue
        for statement in simple_at(source, place.line):
            for edit in _turned(source, statement, place.line):
                found = True
                yield Change.of(name, does, source, [edit], alters_loss=True)
    source = case.sources.of(at)
    if found or source is None or at is None:
        return
    for statement in _updates_by_hand(source, at.line):
        for edit in _turned(source, statement, statement.lineno):
            yield Change.of(name, does, source, [edit])
    does = "gives the loss the sign with which it is to fall"
    for statement in simple_at(source, at.line):
        for edit in _signed(source, statement):
            yield Change.of(name, does, source, [edit], alters_loss=True)


def _updates_by_hand(source: Source, line: int) -> Iterator[ast.stmt]:
    """What is done with gradients that were taken at a line, later in the same loop."""
    for call in source.calls_at(line, "grad", "backward"):
        for loop in source.loops_of(call)[:1]:
            inside = [node for node in ast.walk(loop) if isinstance(node, ast.AugAssign | ast.Expr)]
            yield from (node for node in inside if node.lineno > line)


def _signed(source: Source, statement: ast.stmt) -> Iterator[Edit]:
    """Edits of a statement that put a sign, or the other label, where there is none."""
    for call in ast.walk(statement):
        if not isinstance(call, ast.Call):
            continue
        kind = last_name(call.func)
        given = source.operand(call)
        if kind in ("softplus", "logsigmoid", "grad") and given is not None and given in call.args:
            yield source.replace(given, _negative(source, given))
        elif kind in _LABELS:
            end = source.span(call.func)[1]
            yield Edit(end - len(kind), end, _LABELS[kind])
    value = getattr(statement, "value", None)
    if isinstance(value, ast.Call) and last_name(value.func) == "grad":
        return  # of several numbers
    if isinstance(statement, ast.Assign | ast.Return) and isinstance(value, ast.expr):
        yield source.replace(value, _negative(source, value))


def _negative(source: Source, value: ast.expr) -> str:
    whole = isinstance(value, ast.Name | ast.Call | ast.Attribute | ast.Subscript)
    return f"-{source.code(value)}" if whole else f"-({source.code(value)})"


def _turned(source: Source, statement: ast.stmt, line: int) -> Iterator[Edit]:
    """Edits of a line that turn one sign each, the outermost first."""
    by_hand = "grad" in source.code(statement)
    for node in ast.walk(statement):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            if not isinstance(node.operand, ast.Constant) and node.lineno <= line:
                yield source.bare(node, source.code(node.operand))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            for sign, rest in ((node.left, node.right), (node.right, node.left)):
                if source.code(sign).strip("()") in ("-1", "-1.0"):
                    yield source.bare(node, source.code(rest))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            if source.code(node.left) in ("0", "0.0"):
                yield source.bare(node, source.code(node.right))
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub):
            if "grad" in source.code(node.value) or "lr" in source.code(node.value):
                yield _opposite(source, node)
        elif isinstance(node, ast.Call) and last_name(node.func) in ("neg", "negative"):
            edit = source.unwrap(node)
            yield from [edit] if edit else []
        elif isinstance(node, ast.Attribute) and node.attr in ("add_", "sub_") and by_hand:
            call, end = source.parents[node], source.span(node)[1]
            given = call.keywords if isinstance(call, ast.Call) else []
            for value in [k.value for k in given if k.arg == "alpha"]:
                if not isinstance(value, ast.UnaryOp):  # whose sign was taken away above
                    yield source.replace(value, _negative(source, value))
                return
            yield Edit(end - 4, end, "sub_" if node.attr == "add_" else "add_")


def _opposite(source: Source, node: ast.AugAssign) -> Edit:
    """``p += x`` becomes ``p -= x``, and the other way round."""
    start, end = source.span(node.target)[1], source.span(node.value)[0]
    written = source.text[start:end]
    return Edit(start, end, written.translate(str.maketrans("+-", "-+")))


def keep_numbers(case: Case) -> Iterator[Change]:
    """What is collected of a loss is cut off from how it came about."""
    loss, backward, at = _loss_name(case.backward), case.backward, case.finding.at
    places: list[tuple[Source, ast.stmt]] = []
    source = case.sources.of(at)
    if source is not None and at is not None:
        places += [(source, statement) for statement in simple_at(source, at.line)]
    if backward is not None and (loops := backward.source.loops_of(backward.node)):
        inside = [n for n in ast.walk(loops[-1]) if isinstance(n, ast.stmt)]
        places += [(backward.source, statement) for statement in inside]
    for source, statement in places:
        for keeper, value in _collected(statement):
            parts = [n for n in ast.walk(value) if isinstance(n, ast.expr)]
            named = [n for n in parts if source.code(n) == loss]
            if _is_number(value) or (loss is not None and not named):
                continue
            tensors = rf"torch\.\w+\(\s*{keeper}\b|\b{keeper}(\[[^]]*\])?\.(item|cpu|detach|mean)"
            cut = "detach" if re.search(tensors, source.text) else "item"
            edits = [source.bare(one, f"{source.code(one)}.{cut}()") for one in named[:1]]
            if not named:
                whole = isinstance(value, ast.Name | ast.Call | ast.Attribute | ast.Subscript)
                kept = source.code(value) if whole else f"({source.code(value)})"
                edits = [source.replace(value, f"{kept}.{cut}()")]
            does = "keeps the numbers of losses, and not the graphs behind them"
            yield Change.of("keep-numbers", does, source, edits)


def _loss_name(backward: Found | None) -> str | None:
    """The variable whose gradient is taken: ``loss`` of ``loss.backward()``."""
    call = backward.node if backward else None
    if backward is None or not isinstance(call, ast.Call):
        return None
    given = call.args[0] if call.args else getattr(call.func, "value", None)
    while isinstance(given, ast.Call):  # scaler.scale(loss).backward()
        given = given.args[0] if given.args else None
    if isinstance(given, ast.BinOp):  # (loss / 4).backward()
        given = given.left
    return backward.source.code(given) if isinstance(given, ast.Name | ast.Attribute) else None


def _collected(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """What a statement adds to something that lives on, and what that is called."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
        value = statement.value
        for one in value.elts if isinstance(value, ast.List) else [value]:
            yield last_name(statement.target), one
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if last_name(call.func) in ("append", "add", "extend", "put") and call.args:
            keeper = last_name(getattr(call.func, "value", None))
            value = call.args[-1]
            for one in value.elts if isinstance(value, ast.Tuple) else [value]:
                yield keeper, one
    elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.BinOp):
        target = ast.unparse(statement.targets[0])
        parts = (statement.value.left, statement.value.right)
        if isinstance(statement.value.op, ast.Add) and target in map(ast.unparse, parts):
            for one in parts:
                if ast.unparse(one) != target:
                    yield last_name(statement.targets[0]), one


def _is_number(value: ast.expr) -> bool:
    """Whether something is cut off from its graph already."""
    ways = ("item", "detach", "float", "tolist", "numpy")
    return any(last_name(call.func) in ways for call in _calls_in(value))


TABLE: Mapping[str, tuple[Remedy, ...]] = {
    "missing-zero-grad": (clear_gradients,),
    "missing-step": (step_after_backward,),
    "wrong-order": (order_calls,),
    "gradient-ascent": (descend,),
    "memory-growth": (keep_numbers,),
}
