"""Modes: learning in training mode, judging in evaluation mode, statistics that follow."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from glial.doctor.measures import BATCH_NORMS
from glial.doctor.remedies.program.case import Case, Found, Remedy
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source, last_name


def learn_in_training_mode(case: Case) -> Iterator[Change]:
    """The network is put into training mode before it learns."""
    if not case.finding.evidence.get("training_calls_in_eval_mode", 1):
        return
    if "evaluation_calls_in_training_mode" in case.finding.evidence or case.model is None:
        return
    taken = case.backward or case.step
    if taken is None:
        return
    source = taken.source
    does = "puts the network into training mode before it learns"
    inside = [taken.node, *source.ancestors(taken.node)]
    blocks = {id(s) for one in inside if isinstance(one, ast.stmt) for s in source.block(one)}
    names = (case.model.name, f"self.{case.model.name}")
    for call in reversed(source.calls("eval", "train")):
        owner = source.code(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        given = [source.code(a) for a in (*call.args, *(k.value for k in call.keywords))]
        off = (last_name(call.func), given) in (("eval", []), ("train", ["False"]))
        before = call.lineno < source.statement(taken.node).lineno
        if off and before and owner in names and id(source.statement(call)) in blocks:
            edit = source.replace(call, f"{owner}.train()")
            yield Change.of("train-in-training-mode", does, source, [edit])
            break
    begun = _begun(case, taken)
    if begun is not None:
        yield Change.of("train-in-training-mode", does, source, [begun])


def _begun(case: Case, taken: Found) -> Edit | None:
    """A line that puts the network into training mode before each epoch."""
    source, loops = taken.source, taken.source.loops_of(taken.node)
    model = case.model
    name = source.spelled(model.name, taken.node) if model is not None else None
    if name is None:
        return None
    inner = [loop for loop in loops if source.function_of(loop) is source.function_of(taken.node)]
    if len(inner) > 1:
        return source.before(inner[0], f"{name}.train()")
    if inner:
        return source.before(inner[0].body[0], f"{name}.train()")
    first = source.block(source.statement(taken.node))
    told = [s for s in first if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return source.before(told[0], f"{name}.train()")


def judge_in_evaluation_mode(case: Case) -> Iterator[Change]:
    """The network is put into evaluation mode before it is judged, and back where it learns on."""
    if "evaluation_calls_in_training_mode" not in case.finding.evidence or case.model is None:
        return
    asked = _asked(case)
    if asked is None or not isinstance(asked.node, ast.Call):
        return
    source, name = asked.source, asked.source.code(asked.node.func)
    taken = case.backward or case.step
    learns = taken if taken is not None and taken.source is source else None
    anchor = _judging(source, asked.node, learns)
    edits = [source.before(anchor, f"{name}.eval()")]
    back = _back(case, source, anchor, learns, name)
    yield Change.of(
        "evaluate-in-eval-mode",
        "puts the network into evaluation mode before it is judged",
        source,
        [*edits, *([back] if back is not None else [])],
    )


def _asked(case: Case) -> Found | None:
    """The call of the network in its evaluation."""
    model = case.model
    found = list(case.calls(case.finding.at))
    if model is None:
        return None
    names = (model.name, f"self.{model.name}")
    called = [one for one in found if isinstance(one.node, ast.Call)]
    written = [(one, one.source.code(getattr(one.node, "func", one.node))) for one in called]
    own = [one for one, code in written if code in names]
    plain = [
        one
        for one, code in written
        if isinstance(getattr(one.node, "func", None), ast.Name)
        and _is_given(one.source, one.node, code)
    ]
    return next(iter(own or plain), None)


def _is_given(source: Source, node: ast.AST, name: str) -> bool:
    """Whether a name is an argument of the function around a node."""
    around = source.function_of(node)
    return around is not None and name in [a.arg for a in around.args.args]


def _judging(source: Source, call: ast.Call, learns: Found | None) -> ast.stmt:
    """The outermost statement of an evaluation: loops and blocks without gradient are its own."""
    anchor = source.statement(call)
    for above in source.ancestors(anchor):
        own = isinstance(above, ast.For | ast.While | ast.With)
        if not own or (learns is not None and above in source.ancestors(learns.node)):
            break
        if isinstance(above, ast.stmt):
            anchor = above
    return anchor


def _back(
    case: Case, source: Source, anchor: ast.stmt, learns: Found | None, name: str
) -> Edit | None:
    """Where training mode is set again, if training goes on after the evaluation."""
    if learns is None:
        return None
    loops = source.loops_of(learns.node)
    for loop in loops:
        if any(last_name(c.func) == "train" for c in ast.walk(loop) if isinstance(c, ast.Call)):
            return None
    if any(loop in source.ancestors(anchor) for loop in loops):
        return source.after(anchor, f"{name}.train()")
    around = source.function_of(anchor)
    if around is None or around is source.function_of(learns.node):
        return None
    calls = source.calls(around.name)
    repeated = any(loop in source.ancestors(call) for call in calls for loop in loops)
    return _begun(case, learns) if repeated else None


def follow_statistics(case: Case) -> Iterator[Change]:
    """Batch normalisation follows the data again."""
    layer = case.layer
    if layer is None or layer.settings.get("momentum", 0.1) >= 0.01:
        yield from learn_in_training_mode(case)
        return
    made = case.layer_call
    if made is None or not isinstance(made.node, ast.Call):
        return
    source = made.source
    written = _momentum(source, made.node)
    alike = [c for c in source.calls(*BATCH_NORMS) if _momentum(source, c) == written]
    gone = [source.without_argument(call, "momentum") for call in alike]
    edits = [edit for edit in gone if edit is not None]
    if edits:
        does = "lets batch normalisation follow the data at its usual pace"
        yield Change.of("default-momentum", does, source, edits)


def _momentum(source: Source, call: ast.Call) -> str | None:
    given = [k.value for k in call.keywords if k.arg == "momentum"]
    return source.code(given[0]) if given else None


TABLE: Mapping[str, tuple[Remedy, ...]] = {
    "wrong-mode": (learn_in_training_mode, judge_in_evaluation_mode),
    "stale-statistics": (follow_statistics,),
}
