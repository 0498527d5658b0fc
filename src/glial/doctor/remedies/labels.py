"""Labels: which row they belong to, which are wrong, how rare classes are, and their order."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from glial.doctor.remedies.data import is_tensor
from glial.doctor.remedies.program.alterations import (
    DRAWS,
    RANDOM,
    Write,
    alterations,
    calls_in,
    index_of,
    is_random,
    number,
    without,
)
from glial.doctor.remedies.program.arrays import Arrays, fresh
from glial.doctor.remedies.program.case import Case, Found
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.networks import before_training
from glial.doctor.remedies.program.source import Edit, Source, last_name
from glial.doctor.remedies.program.variables import Array
from glial.doctor.remedies.rows import keep_rows

CROSS_ENTROPY = ("CrossEntropyLoss", "cross_entropy")
NEIGHBOURS, AGREED = 10, 0.3  # a label is trusted if so many of its row's neighbours share it


# -- which row labels belong to


def pair_again(case: Case) -> Iterator[Change]:
    """What moves labels or inputs alone is taken out."""
    arrays = Arrays(case)
    x, y = arrays.inputs, arrays.targets
    if x is None or y is None:
        return
    wanted: list[Write] = []
    for array, other in ((y, x), (x, y)):
        with_it = list(alterations(other))
        wanted += [w for w in alterations(array) if _moves(w) and not _is_paired(w, with_it)]
    if wanted:
        source = wanted[0].source
        edits = without(source, [w for w in wanted if w.uses_itself and w.source is source])
        for write in wanted:
            if not write.uses_itself and isinstance(write.value, ast.Subscript):
                edits.append(source.replace(write.value, source.code(write.value.value)))
        yield _paired(source, edits)
    for array in (y, x):
        calls = _shuffles_in_place(array)
        if calls:
            edits = [array.source.remove(one) for one in calls]
            yield _paired(array.source, edits)
    yield from _same_rows(arrays)


def _paired(source: Source, edits: list[Edit]) -> Change:
    return Change.of(
        "pair-labels",
        "takes out what moves labels to other rows than their own",
        source,
        edits,
    )


def _moves(write: Write) -> bool:
    """Whether a statement draws a new order for an array."""
    value = write.value
    if write.partial:
        return False
    if isinstance(value, ast.Subscript):
        return is_random(write, value.slice, DRAWS)
    own = isinstance(value, ast.Call) and last_name(value.func) in DRAWS
    return own and write.uses_itself and _is_alone(write)


def _is_alone(write: Write) -> bool:
    """Whether a statement gives one thing alone: shuffle(x, y) moves both."""
    return isinstance(write.value, ast.Call) and len(write.value.args) == 1


def _is_paired(write: Write, others: list[Write]) -> bool:
    """Whether another array is moved by the same order: one that has a name."""
    value = write.value
    if not isinstance(value, ast.Subscript) or calls_in(value.slice, DRAWS):
        return False
    index = write.source.code(value.slice)
    return any(
        isinstance(other.value, ast.Subscript)
        and not other.partial
        and other.source.code(other.value.slice) == index
        for other in others
    )


def _shuffles_in_place(array: Array) -> list[ast.stmt]:
    source = array.source
    return [
        statement
        for call in source.calls("shuffle")
        if [source.code(one) for one in call.args] == [array.name]
        and isinstance(statement := source.parents[call], ast.Expr)
    ]


def _same_rows(arrays: Arrays) -> Iterator[Change]:
    """Labels of a batch are picked by the index that picks its inputs."""
    call, y = arrays.training_call, arrays.targets
    if call is None or y is None or y.source is not call.source:
        return
    source = call.source
    within = source.loops_of(call.node)[:1]
    if not within or not isinstance(call.node, ast.Call):
        return
    picks = [
        node
        for node in ast.walk(within[0])
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name)
    ]
    x = arrays.inputs
    ours = {source.code(n.slice) for n in picks if x and source.code(n.value) == x.name}
    theirs = [n for n in picks if source.code(n.value) == y.name]
    if len(ours) == 1 and theirs and all(source.code(n.slice) not in ours for n in theirs):
        (index,) = ours
        edits = [source.replace(node.slice, index) for node in theirs]
        yield Change.of(
            "same-rows", "picks labels by the index that picks their inputs", source, edits
        )


# -- wrong labels


def keep_labels(case: Case) -> Iterator[Change]:
    """Statements that overwrite labels are taken out."""
    y = Arrays(case).targets
    if y is None:
        return
    for write in alterations(y):
        if write.name == y.name and _overwrites(write):
            yield Change.of(
                "keep-labels",
                "takes out the statement that gives rows other labels",
                write.source,
                without(write.source, [write]),
            )


def _overwrites(write: Write) -> bool:
    """Whether a statement sets some of the labels to others, drawn or of another class."""
    target, value = write.target, write.value
    if isinstance(target, ast.Subscript):
        drawn = is_random(write, target.slice) or is_random(write, value)
        return drawn or (number(value) is not None and _compares(write, target.slice))
    if not write.uses_itself or index_of(write) is not None:
        return False
    chosen = isinstance(value, ast.Call) and last_name(value.func) in ("where", "clamp", "clip")
    return chosen or (calls_in(value, RANDOM) and not calls_in(value, DRAWS))


def _compares(write: Write, node: ast.AST) -> bool:
    if any(isinstance(one, ast.Compare) for one in ast.walk(node)):
        return True
    return isinstance(node, ast.Name) and any(
        isinstance(one, ast.Compare)
        for made in write.source.assignments(node.id)
        for one in ast.walk(made)
    )


def trust_neighbours(case: Case) -> Iterator[Change]:
    """Rows are left out whose nearest neighbours hardly ever share their label."""
    arrays, loss = Arrays(case), case.loss
    x, y = arrays.inputs, arrays.targets
    if x is None or y is None or loss is None or loss.target is None or not is_tensor(x):
        return
    if not loss.target.counts or len(loss.target.shape) > 2 or not is_tensor(y):
        return
    ready = arrays.ready([x, y])
    if ready is None:
        return
    source, last = ready
    torch, more = source.refer("torch")
    near, trusted = fresh(source, "near", "trusted")
    lines = [
        f"{near} = {torch}.cdist({x.name}.flatten(1), {x.name}.flatten(1))"
        f".topk({NEIGHBOURS + 1}, largest=False).indices[:, 1:]",
        f"{trusted} = ({y.name}.flatten()[{near}] == {y.name}.reshape(-1, 1))"
        f".float().mean(1) >= {AGREED}",
        f"{x.name}, {y.name} = {x.name}[{trusted}], {y.name}[{trusted}]",
    ]
    yield Change.of(
        "drop-suspects",
        "leaves out training rows whose nearest neighbours have another label",
        source,
        [*more, source.after(last, "\n".join(lines))],
    )


def smooth_labels(case: Case) -> Iterator[Change]:
    """The loss takes labels for likely, and not for certain."""
    loss = case.loss
    if loss is None or loss.settings.get("label_smoothing", 0.0) > 0:
        return
    call = _loss_maker(case, CROSS_ENTROPY)
    if call is not None and isinstance(call.node, ast.Call):
        yield Change.of(
            "smooth-labels",
            "smooths the labels by a tenth, so that single wrong ones weigh less",
            call.source,
            [call.source.argument(call.node, "label_smoothing", "0.1")],
            alters_loss=True,
        )


def bound_errors(case: Case) -> Iterator[Change]:
    """Errors of amounts weigh by their size, and not by its square."""
    call = _loss_maker(case, ("MSELoss", "mse_loss"))
    if call is None or not isinstance(call.node, ast.Call):
        return
    names = {"MSELoss": "SmoothL1Loss", "mse_loss": "smooth_l1_loss"}
    function = call.node.func
    code = call.source.code(function)
    kept = code.removesuffix(last_name(function))
    if not kept:  # imported by its own name
        full = {
            "MSELoss": "torch.nn.SmoothL1Loss",
            "mse_loss": "torch.nn.functional.smooth_l1_loss",
        }
        text, more = call.source.refer(full[last_name(function)])
    else:
        text, more = kept + names[last_name(function)], []
    yield Change.of(
        "bound-errors",
        "has large errors weigh by their size, and not by its square",
        call.source,
        [*more, call.source.replace(function, text)],
        alters_loss=True,
    )


def _loss_maker(case: Case, names: tuple[str, ...]) -> Found | None:
    """The call that makes the loss, or computes it."""
    loss = case.loss
    if loss is None:
        return None
    return case.call(loss.made_at, *names) or case.call(loss.at, *names)


# -- rare classes


def weigh_classes(case: Case) -> Iterator[Change]:
    """The loss weighs each class by how rare it is."""
    arrays, loss = Arrays(case), case.loss
    y = arrays.targets
    if y is None or loss is None or loss.target is None or loss.weighted:
        return
    binary = loss.name.startswith("binary")
    names = ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits")
    call = _loss_maker(case, names if binary else (*CROSS_ENTROPY, "NLLLoss", "nll_loss"))
    if call is None or not isinstance(call.node, ast.Call) or call.source is not y.source:
        return
    source = call.source
    torch, more = source.refer("torch")
    ready = arrays.ready([y])
    if ready is None:
        return
    given = y.name if is_tensor(y) else f"{torch}.as_tensor({y.name})"
    if binary:
        name, argument = fresh(source, "weight")[0], "pos_weight"
        text = f"{name} = ({given} == 0).sum() / ({given} == 1).sum()"
    else:
        counts, name = fresh(source, "counts", "weight")
        argument = "weight"
        text = f"{counts} = {torch}.bincount({given}).clamp(min=1)\n"
        text += f"{name} = {counts}.sum() / (len({counts}) * {counts})"
    start = before_training(call, ready[1])
    if start is None:
        return
    edit = source.before(start, text)
    yield Change.of(
        "weigh-classes",
        "weighs each class in the loss by how rare it is",
        source,
        [*more, edit, source.argument(call.node, argument, name)],
        alters_loss=True,
    )


# -- order


def shuffle_rows(case: Case) -> Iterator[Change]:
    """Rows come in a new order each epoch."""
    arrays = Arrays(case)
    loader = case.loader
    if loader is not None and not loader.shuffles:
        call = case.call(loader.at, "DataLoader")
        if call is not None and isinstance(call.node, ast.Call):
            yield _shuffled(call.source, [call.source.argument(call.node, "shuffle", "True", 2)])
    call = arrays.training_call
    if call is None:
        return
    source = call.source
    loops = source.loops_of(call.node)
    if not loops:
        return
    for order in source.calls("arange", "range"):
        inside = [loop for loop in loops if loop in source.ancestors(order)]
        counts_up = last_name(order.func) == "arange" and len(order.args) == 1 and inside
        if counts_up and isinstance(order.func, ast.Attribute):
            torch, more = source.refer("torch")
            if source.code(order.func.value) == torch:
                yield _shuffled(source, [*more, source.replace(order.func, f"{torch}.randperm")])
            else:
                numpy = source.code(order.func.value)
                text = f"{numpy}.random.permutation"
                yield _shuffled(source, [source.replace(order.func, text)])
    x, y = arrays.inputs, arrays.targets
    if x is None or y is None or x.source is not source or len(loops) < 2:
        return
    names = {one.id for one in ast.walk(loops[0]) if isinstance(one, ast.Name)}
    if not {x.name, y.name} <= names or not loops[1].body:
        return
    (order_name,) = fresh(source, "order")
    torch, more = source.refer("torch")
    lines = [
        f"{order_name} = {torch}.randperm(len({x.name}))",
        f"{x.name}, {y.name} = {x.name}[{order_name}], {y.name}[{order_name}]",
    ]
    yield _shuffled(source, [*more, source.before(loops[1].body[0], "\n".join(lines))])


def _shuffled(source: Source, edits: list[Edit]) -> Change:
    return Change.of("shuffle", "has rows come in a new order each epoch", source, edits)


TABLE = {
    "misaligned-labels": (pair_again, keep_labels),
    "bad-split": (keep_labels,),
    "label-noise": (keep_labels, pair_again, trust_neighbours, smooth_labels, bound_errors),
    "class-imbalance": (keep_rows, weigh_classes),
    "unshuffled-data": (shuffle_rows,),
}
