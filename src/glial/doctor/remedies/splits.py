"""Training and evaluation rows: prepared alike, kept apart, and both of every kind."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from glial.doctor.remedies.data import is_tensor
from glial.doctor.remedies.program.alterations import (
    Factor,
    Write,
    alterations,
    closed,
    factors,
    index_of,
    is_random,
    like,
    mentions,
    number,
    partners,
    renamed,
    without,
)
from glial.doctor.remedies.program.arrays import Arrays, fresh
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source
from glial.doctor.remedies.program.variables import Array
from glial.doctor.remedies.rows import keep_rows

STATISTICS = ("mean", "std", "var", "min", "max", "amin", "amax", "median", "quantile", "ptp")


# -- one preparation for both


def prepare_alike(case: Case) -> Iterator[Change]:
    """Evaluation inputs are prepared as training inputs are."""
    arrays = Arrays(case)
    x = arrays.inputs
    yield from _transform_alike(arrays)
    if x is None:
        return
    for other in arrays.asked:
        if other.source is not x.source:
            continue
        ours, theirs = alterations(x), alterations(other)
        for write in theirs:
            if write.name != other.name or index_of(write) is not None:
                continue
            if write.uses_itself and not any(like(write, one, other, x) for one in ours):
                yield _alike(
                    write.source,
                    without(write.source, [write]),
                    "takes out what is done to evaluation inputs alone",
                )
        for write in ours:
            own = write.name == x.name and write.uses_itself and not write.partial
            known = any(like(one, write, other, x) for one in theirs)
            if own and not known and index_of(write) is None:
                yield from _copied(write, x, other)
        yield from _same_factors(x, other, ours, theirs)
    yield from _same_in_calls(arrays)


def _alike(source: Source, edits: list[Edit], does: str) -> Change:
    return Change.of("prepare-alike", does, source, edits)


def _copied(write: Write, x: Array, other: Array) -> Iterator[Change]:
    """What is done to training inputs is done to evaluation inputs, with the same numbers."""
    source, code = write.source, write.source.code(write.value)
    if is_random(write, write.value) or source.code(write.target) != x.name:
        return
    if isinstance(write.statement, ast.AugAssign):
        line = renamed(source.code(write.statement), {x.name: other.name})
    else:
        kept = {f"{x.name}.{name}": f"\0{name}" for name in STATISTICS}
        text = code
        for name, held in kept.items():
            text = text.replace(name, held)
        text = renamed(text, {x.name: other.name}).replace("\0", f"{x.name}.")
        line = f"{other.name} = {text}"
    late = [one for one in alterations(other) if one.name == other.name]
    if any(one.statement.lineno > write.statement.lineno for one in late):
        return
    fitted = line.replace(".fit_transform(", ".transform(")
    put = source.before if fitted == line else source.after
    yield _alike(
        source,
        [put(write.statement, fitted)],
        "prepares evaluation inputs as training inputs are, with the same numbers",
    )


def _same_factors(
    x: Array, other: Array, ours: list[Write], theirs: list[Write]
) -> Iterator[Change]:
    """A constant that one of two arrays is multiplied by alone."""
    own = [factor for write in ours if not write.partial for factor in factors(write.value)]
    source = x.source
    for write in theirs:
        if write.partial or write.name != other.name or write.uses_itself:
            continue
        for factor in factors(write.value):
            if not _has(own, factor):
                yield _alike(
                    source,
                    [source.replace(factor.node, source.code(factor.kept))],
                    "takes out what evaluation inputs alone are multiplied by",
                )
    held = [factor for write in theirs if not write.partial for factor in factors(write.value)]
    for write in ours:
        if write.partial or write.name != x.name or write.uses_itself:
            continue
        last = next((w.statement for w in theirs if w.name == other.name), None)
        for factor in factors(write.value):
            if last is not None and not _has(held, factor):
                by = f"* {factor.size:g}" if factor.size >= 1 else f"/ {1 / factor.size:g}"
                yield _alike(
                    source,
                    [source.after(last, f"{other.name} = {other.name} {by}")],
                    "multiplies evaluation inputs as training inputs are",
                )


def _has(found: list[Factor], factor: Factor) -> bool:
    return any(abs(one.size / factor.size - 1) < 1e-9 for one in found)


def _transform_alike(arrays: Arrays) -> Iterator[Change]:
    """A transformation that is fitted twice is fitted to the training rows alone."""
    call = arrays.training_call
    source = call.source if call is not None else None
    if source is None:
        return
    fitted: dict[str, list[ast.Call]] = {}
    for one in source.calls("fit_transform"):
        if isinstance(one.func, ast.Attribute):
            fitted.setdefault(source.code(one.func.value), []).append(one)
    edits = [
        source.replace(one.func, f"{name}.transform")
        for name, calls in fitted.items()
        for one in calls[1:]
    ]
    if edits:
        yield _alike(source, edits, "fits the transformation to the training rows alone")


def _same_in_calls(arrays: Arrays) -> Iterator[Change]:
    """What is done to inputs where the network is called."""
    taught = arrays.training_call
    if taught is None or not isinstance(taught.node, ast.Call) or not taught.node.args:
        return
    own = _constants(taught.source, taught.node.args[0])
    for call in arrays.asking_calls:
        if not isinstance(call.node, ast.Call) or not call.node.args:
            continue
        given, source = call.node.args[0], call.source
        theirs = _constants(source, given)
        for text, kept in theirs.items():
            if text not in own:
                outer = next(n for n in _outside(given) if _constant_of(source, n) == text)
                yield _alike(
                    source,
                    [source.replace(outer, source.code(kept))],
                    "takes out what evaluation inputs alone are given",
                )
        for text in own:
            if text not in theirs:
                yield _alike(
                    source,
                    [source.replace(given, f"{closed(source, given)} {text}")],
                    "prepares evaluation inputs as training inputs are",
                )


def _constants(source: Source, node: ast.expr) -> dict[str, ast.expr]:
    """Constants that an expression is added to or multiplied by, as they are written."""
    return {
        text: one.left
        for one in _outside(node)
        if isinstance(one, ast.BinOp) and (text := _constant_of(source, one)) is not None
    }


def _outside(node: ast.AST) -> Iterator[ast.AST]:
    """An expression and what it is made of, but for what picks rows."""
    yield node
    for one in ast.iter_child_nodes(node):
        if not isinstance(node, ast.Subscript) or one is not node.slice:
            yield from _outside(one)


def _constant_of(source: Source, node: ast.AST) -> str | None:
    if not isinstance(node, ast.BinOp) or number(node.right) is None or number(node.left):
        return None
    sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}.get(type(node.op))
    return None if sign is None else f"{sign} {source.code(node.right)}"


# -- rows of every kind


def split_at_random(case: Case) -> Iterator[Change]:
    """Rows are drawn for training and evaluation, and not taken in their order."""
    call = Arrays(case).training_call
    if call is None:
        return
    source = call.source
    loss = case.loss
    classes = loss is not None and loss.target is not None and bool(loss.target.counts)
    for one in source.calls("train_test_split"):
        shuffle = next((k for k in one.keywords if k.arg == "shuffle"), None)
        if shuffle is None or source.code(shuffle.value) != "False":
            continue
        text = f"stratify={source.code(one.args[-1])}" if classes and len(one.args) > 1 else ""
        edit = source.replace(shuffle, text) if text else source.without_argument(one, "shuffle")
        if edit is not None:
            yield Change.of(
                "split-at-random",
                "shuffles rows before they are split, and splits each class alike",
                source,
                [edit],
            )
    yield from _shuffled_first(case)


def _shuffled_first(case: Case) -> Iterator[Change]:
    """Rows are shuffled before the statements that cut them."""
    arrays = Arrays(case)
    x, y = arrays.inputs, arrays.targets
    if x is None or y is None:
        return
    cut = _cut_of(x)
    cut_y = _cut_of(y)
    if cut is None or cut_y is None or cut[0].source is not cut_y[0].source:
        return
    source = cut[0].source
    first = min((cut[0].statement, cut_y[0].statement), key=lambda one: one.lineno)
    (order,) = fresh(source, "order")
    torch, more = source.refer("torch")
    if not is_tensor(x) and "numpy" in source.modules:
        drawn = f"{source.modules['numpy']}.random.permutation(len({cut[1]}))"
        more = []
    else:
        drawn = f"{torch}.randperm(len({cut[1]}))"
    lines = [
        f"{order} = {drawn}",
        f"{cut[1]}, {cut_y[1]} = {cut[1]}[{order}], {cut_y[1]}[{order}]",
    ]
    yield Change.of(
        "split-at-random",
        "shuffles rows before they are split",
        source,
        [*more, source.before(first, "\n".join(lines))],
    )


def _cut_of(array: Array) -> tuple[Write, str] | None:
    """The statement that cuts an array off a longer one, and what that is called."""
    for write in alterations(array, 1):
        value = write.value
        if not isinstance(value, ast.Subscript) or write.partial:
            continue
        if isinstance(value.slice, ast.Slice) and isinstance(value.value, ast.Name):
            return write, value.value.id
    return None


# -- what evaluation must not share with training


def drop_column(case: Case) -> Iterator[Change]:
    """A column that gives the target away is taken out, or left empty."""
    arrays = Arrays(case)
    x, y = arrays.inputs, arrays.targets
    column = case.finding.evidence.get("column")
    if x is None or column is None:
        return
    if y is not None:
        wanted = [
            write
            for array in (x, *arrays.asked)
            for write in alterations(array)
            if write.partial
            and write.name == array.name
            and mentions(write.source, write.value, y.name)
        ]
        if wanted:
            yield Change.of(
                "drop-leak",
                "takes out the statement that puts targets among the inputs",
                wanted[0].source,
                without(wanted[0].source, wanted),
            )
    every = [x, *arrays.asked]
    ready = arrays.ready(every)
    if ready is None:
        return
    source, last = ready
    lines = [f"{one.name}[:, {int(column)}] = 0" for one in every]
    yield Change.of(
        "empty-column",
        f"empties input column {int(column)}, which gives the target away",
        source,
        [source.after(last, "\n".join(lines))],
    )


def drop_copies(case: Case) -> Iterator[Change]:
    """Training rows that evaluation holds are left out."""
    arrays = Arrays(case)
    x, y = arrays.inputs, arrays.targets
    if x is None or y is None or not arrays.asked or "column" in case.finding.evidence:
        return
    names = [one.name for one in arrays.asked]
    for write in alterations(x):
        if write.partial and any(mentions(write.source, write.value, name) for name in names):
            same = [write]
            for target, value in partners(write):
                same.append(Write(write.source, write.statement, target, value, y.name))
            yield Change.of(
                "drop-leak",
                "takes out the statement that trains on evaluation rows",
                write.source,
                without(write.source, same),
            )
    ready = arrays.ready([x, y, arrays.asked[0]])
    if ready is None or not is_tensor(x) or not is_tensor(arrays.asked[0]):
        return
    source, last = ready
    torch, more = source.refer("torch")
    (own,) = fresh(source, "own")
    lines = [
        f"{own} = {torch}.cdist({x.name}.flatten(1), {names[0]}.flatten(1), "
        'compute_mode="donot_use_mm_for_euclid_dist").amin(1) > 0',
        f"{x.name}, {y.name} = {x.name}[{own}], {y.name}[{own}]",
    ]
    yield Change.of(
        "drop-copies",
        "leaves out training rows that evaluation holds too",
        source,
        [*more, source.after(last, "\n".join(lines))],
    )


TABLE = {
    "preprocessing-mismatch": (prepare_alike,),
    "bad-split": (keep_rows, split_at_random),
    "leakage": (drop_column, drop_copies),
    "duplicate-samples": (keep_rows,),
    "overfitting": (keep_rows,),
    "data-drift": (split_at_random,),
}
