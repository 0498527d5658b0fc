"""Inputs and targets: what is missing of them, and how their axes lie."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from glial.doctor.remedies.alterations import (
    Write,
    alike,
    alterations,
    closed,
    is_random,
    number,
    without,
)
from glial.doctor.remedies.arrays import Arrays, fresh
from glial.doctor.remedies.case import Case
from glial.doctor.remedies.change import Change
from glial.doctor.remedies.networks import network_statement
from glial.doctor.remedies.scales import inputs_seen
from glial.doctor.remedies.source import Edit, last_name
from glial.doctor.remedies.variables import Array

UNEVEN = 20.0  # columns are scaled one by one where scales differ by more
NEARER = 3.0  # a constant is taken out if that brings the scale so much nearer to 1
FEW = 0.1  # so many rows may be left out


# -- values that are missing


def without_loss_of_values(case: Case) -> Iterator[Change]:
    """Statements that make values missing are taken out, or guarded."""
    arrays = Arrays(case)
    for array, others in (
        (arrays.inputs, arrays.asked),
        (arrays.targets, []),
    ):
        if array is None:
            continue
        for write in alterations(array):
            if write.partial and _is_missing(write):
                same = [write, *alike(write, array, others)]
                yield Change.of(
                    "keep-values",
                    "takes out the statement that makes values missing",
                    write.source,
                    without(write.source, same),
                )
            edits = _guarded(write)
            for other in others:
                for one in alterations(other):
                    edits += _guarded(one)
            if edits:
                yield Change.of(
                    "guard-logarithm",
                    "takes logarithms and roots of sizes alone, and keeps the sign",
                    write.source,
                    list(dict.fromkeys(edits)),
                )


def _is_missing(write: Write) -> bool:
    """Whether a statement writes what is no number, or a stand-in where nothing was missing."""
    text = write.source.code(write.value).lower()
    if any(word in text for word in ("'nan'", '"nan"', ".nan", "'inf'", '"inf"', ".inf")):
        return True
    target = write.target
    return (
        number(write.value) is not None
        and isinstance(target, ast.Subscript)
        and is_random(write, target.slice)
    )


_UNSAFE = {"log": "log1p", "log10": "log1p", "log2": "log1p", "sqrt": "sqrt"}


def _guarded(write: Write) -> list[Edit]:
    edits = []
    for node in ast.walk(write.value):
        if not isinstance(node, ast.Call) or last_name(node.func) not in _UNSAFE:
            continue
        source, name = write.source, _UNSAFE[last_name(node.func)]
        if not isinstance(node.func, ast.Attribute):
            continue
        library = source.code(node.func.value)
        if library in source.modules.values() and len(node.args) == 1:
            given = source.code(node.args[0])
            text = f"{library}.sign({given}) * {library}.{name}({library}.abs({given}))"
            edits.append(source.replace(node, text))
        elif not node.args:
            given = source.code(node.func.value)
            edits.append(source.replace(node, f"{given}.sign() * {given}.abs().{name}()"))
    return edits


def without_rows(case: Case) -> Iterator[Change]:
    """Training rows with values that are no numbers are left out."""
    arrays, loss = Arrays(case), case.loss
    x, y = arrays.inputs, arrays.targets
    if x is None or y is None or loss is None or _stands_in(case):
        return
    ready = arrays.ready([x, y])
    if ready is None:
        return
    source, last = ready
    torch, more = source.refer("torch")
    if case.finding.where is None and loss.target is not None and loss.target.not_finite:
        bad, dims = y, len(loss.target.shape)
    else:
        seen = inputs_seen(case)
        if seen is None or seen.not_finite * math.prod(seen.shape[1:]) > FEW:
            return
        bad, dims = x, len(seen.shape)
    if not is_tensor(bad):
        return
    (known,) = fresh(source, "known")
    row = "" if dims < 2 else ".flatten(1).all(1)" if dims > 2 else ".all(1)"
    lines = [
        f"{known} = {torch}.isfinite({bad.name}){row}",
        f"{x.name}, {y.name} = {x.name}[{known}], {y.name}[{known}]",
    ]
    yield Change.of(
        "drop-missing",
        "leaves training rows out of which a value is missing",
        source,
        [*more, source.after(last, "\n".join(lines))],
    )


def fill_with_median(case: Case) -> Iterator[Change]:
    """What is missing is filled with the median of the training rows."""
    arrays = Arrays(case)
    x = arrays.inputs
    if x is None or not is_tensor(x) or (case.finding.where is None and not _stands_in(case)):
        return
    every = [x, *arrays.asked]
    ready = arrays.ready(every)
    if ready is None:
        return
    source, last = ready
    torch, more = source.refer("torch")
    (median,) = fresh(source, "median")
    stand_in = case.finding.evidence.get("stand_in")
    odd = f"{{}} == {stand_in:g}" if stand_in is not None else "~{}.isfinite()"
    hidden = f"{x.name}.masked_fill({odd.format(x.name)}, {torch}.nan)"
    lines = [f"{median} = {hidden}.nanmedian(0).values"]
    for one in every:
        lines.append(f"{one.name} = {torch}.where({odd.format(one.name)}, {median}, {one.name})")
    yield Change.of(
        "fill-missing",
        "fills what is missing with the median of the training rows",
        source,
        [*more, source.after(last, "\n".join(lines))],
    )


def _stands_in(case: Case) -> bool:
    return "stand_in" in case.finding.evidence


def fill_before(case: Case) -> Iterator[Change]:
    """The network is given the mean, as it was seen, for what is no number."""
    seen, found = inputs_seen(case), network_statement(case)
    if seen is None or found is None or not seen.not_finite:
        return
    source, statement, name = found
    known = f"{seen.mean:.4g}, {seen.max:.4g}, {seen.min:.4g}"
    line = (
        f"{name}.register_forward_pre_hook(\n"
        f"    lambda module, inputs: (inputs[0].nan_to_num({known}), *inputs[1:])\n)"
    )
    yield Change.of(
        "fill-first",
        "has the network take the inputs' mean for what is missing",
        source,
        [source.after(statement, line)],
    )


def is_tensor(array: Array) -> bool:
    """Whether an array is torch's, as far as the source tells."""
    for write in alterations(array):
        text = write.source.code(write.value)
        if write.partial:
            continue
        if any(word in text for word in ("torch", ".float()", "tensor(", "Tensor(")):
            return True
        if any(word in text for word in ("np.", "numpy", ".astype(", ".to_numpy", ".values")):
            return False
    return True


# -- axes


def channels_first(case: Case) -> Iterator[Change]:
    """Images' channels are moved to the front."""
    arrays = Arrays(case)
    calls = [one for one in (arrays.training_call, *arrays.asking_calls) if one is not None]
    files: dict[str, tuple[Edit, ...]] = {}
    for call in calls:
        if isinstance(call.node, ast.Call) and call.node.args:
            first = call.node.args[0]
            edit = call.source.replace(first, f"{closed(call.source, first)}.permute(0, 3, 1, 2)")
            files[call.source.path] = (*files.get(call.source.path, ()), edit)
    if files:
        yield Change("channels-first", "moves the channels of images to the front", files)


TABLE = {
    "missing-values": (without_loss_of_values, without_rows, fill_with_median, fill_before),
    "wrong-layout": (channels_first,),
}
