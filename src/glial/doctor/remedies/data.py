"""Inputs and targets: what is missing of them, and how their axes lie."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from glial.doctor.remedies.program.alterations import (
    Write,
    alike,
    alterations,
    closed,
    is_random,
    number,
    without,
)
from glial.doctor.remedies.program.arrays import Arrays, fresh
from glial.doctor.remedies.program.case import Case, Remedy
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.networks import network_statement
from glial.doctor.remedies.program.source import Edit, Source, last_name
from glial.doctor.remedies.program.variables import Array
from glial.doctor.remedies.scales import inputs_seen

UNEVEN = 20.0  # columns are scaled one by one where scales differ by more
NEARER = 3.0  # a constant is taken out if that brings the scale so much nearer to 1
FEW = 0.1  # so many rows may be left out


# -- values that are missing


def without_loss_of_values(case: Case) -> Iterator[Change]:
    """Statements that make values missing are taken out."""
    arrays = Arrays(case)
    for array, others in ((arrays.inputs, arrays.asked), (arrays.targets, [])):
        for write in alterations(array) if array is not None else []:
            if array is not None and write.partial and _is_missing(write):
                yield Change.of(
                    "keep-values",
                    "takes out the statement that makes values missing",
                    write.source,
                    without(write.source, [write, *alike(write, array, others)]),
                )


def without_logarithms(case: Case) -> Iterator[Change]:
    """Logarithms and roots are taken of sizes alone, or not at all."""
    arrays, loss, seen = Arrays(case), case.loss, inputs_seen(case)
    every: list[Array | None] = []
    if seen is None or seen.not_finite:
        every += [arrays.inputs, *arrays.asked]
    if loss is not None and loss.target is not None and loss.target.not_finite:
        every.append(arrays.targets)
    found = {
        node: write
        for one in every
        for write in (alterations(one) if one is not None else [])
        for node in ast.walk(write.value)
        if isinstance(node, ast.Call) and last_name(node.func) in _UNSAFE
    }
    source = next((write.source for write in found.values()), None)
    if source is None:
        return
    guarded = {node: text for node in found if (text := _guarded(source, node)) is not None}
    yield Change.of(
        "guard-logarithm",
        "takes logarithms and roots of sizes alone, and keeps the sign",
        source,
        [source.replace(node, text) for node, text in guarded.items()],
    )
    plain = {node: text for node in found if (text := _plain(source, node)) is not None}
    whole = [w for node, w in found.items() if node is w.value and plain.get(node) == w.name]
    edits = [source.replace(n, text) for n, text in plain.items() if found[n] not in whole]
    yield Change.of(
        "drop-logarithm",
        "takes out logarithms and roots that not all values have",
        source,
        [*edits, *without(source, whole)],
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


def _given(source: Source, call: ast.Call) -> tuple[str | None, ast.expr] | None:
    """The library that a function is called of, None of a method, and what it is given."""
    if not isinstance(call.func, ast.Attribute):
        return None
    owner = source.code(call.func.value)
    if owner in source.modules.values():
        return (owner, call.args[0]) if len(call.args) == 1 else None
    return None if call.args else (None, call.func.value)


def _guarded(source: Source, call: ast.Call) -> str | None:
    known = _given(source, call)
    if known is None:
        return None
    library, name = known[0], _UNSAFE[last_name(call.func)]
    given = source.code(known[1]) if library else closed(source, known[1])
    if library:
        return f"{library}.sign({given}) * {library}.{name}({library}.abs({given}))"
    return f"{given}.sign() * {given}.abs().{name}()"


def _plain(source: Source, call: ast.Call) -> str | None:
    known = _given(source, call)
    return None if known is None else closed(source, known[1])


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
    lines = [
        f"{known} = {_known_rows(torch, bad.name, dims)}",
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
    if "roughness_with_channels_last" in case.finding.evidence:
        yield from _permuted(case)
        return
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


def _permuted(case: Case) -> Iterator[Change]:
    """Reshapes that put channels in front permute the axes instead."""
    sizes = [float(case.finding.evidence[key]) for key in ("channels", "height", "width")]
    for source in case.files:
        edits: list[Edit] = []
        for call in source.calls("reshape", "view"):
            of, given = getattr(call.func, "value", None), [number(one) for one in call.args[1:]]
            if of is None or len(given) != 3 or given[0] != sizes[0]:
                continue
            if any(one not in (None, size) for one, size in zip(given, sizes, strict=True)):
                continue
            rows, channels, height, width = map(source.code, call.args)
            moved = "permute" if _is_of_torch(source, call) else "transpose"
            text = f"{source.code(of)}.reshape({rows}, {height}, {width}, {channels})"
            edits.append(source.replace(call, f"{text}.{moved}(0, 3, 1, 2)"))
        if edits:
            does = "permutes the axes of images, which reshaping them scatters"
            yield Change.of("channels-first", does, source, edits)


def _is_of_torch(source: Source, call: ast.Call) -> bool:
    """Whether what is reshaped is a tensor, as far as its spelling and its making tell."""
    made = [getattr(one, "value", None) for one in source.assignments(source.code(call.func.value))]  # type: ignore[attr-defined]
    told = [call, *(one for one in made if isinstance(one, ast.AST))]
    return last_name(call.func) == "view" or any("torch" in source.code(one) for one in told)


def of_lost_numbers(remedy: Remedy) -> Remedy:
    """A remedy for missing values, where numbers were lost in the data and not by the loss."""

    def mend(case: Case) -> Iterator[Change]:
        if _are_lost(case):
            yield from remedy(case)

    return mend


def _are_lost(case: Case) -> bool:
    """Whether inputs or targets were seen that hold what is no number."""
    loss, model = case.loss, case.model
    seen = [one for held in model.inputs.values() for one in held] if model else []
    seen += [loss.target] if loss is not None and loss.target is not None else []
    return any(one.not_finite > 0 for one in seen)


def without_unseen_rows(case: Case) -> Iterator[Change]:
    """Rows that hold what is no number are left out: few of them may never have been looked at."""
    arrays, seen, loss = Arrays(case), inputs_seen(case), case.loss
    x, y = arrays.inputs, arrays.targets
    if x is None or y is None or _are_lost(case) or not (is_tensor(x) and is_tensor(y)):
        return
    ready = arrays.ready([x, y])
    if ready is None or seen is None or loss is None or loss.target is None:
        return
    source, last = ready
    torch, more = source.refer("torch")
    (known,) = fresh(source, "known")
    rows = [_known_rows(torch, x.name, len(seen.shape))]
    rows.append(_known_rows(torch, y.name, len(loss.target.shape)))
    lines = [
        f"{known} = {' & '.join(rows)}",
        f"{x.name}, {y.name} = {x.name}[{known}], {y.name}[{known}]",
    ]
    yield Change.of(
        "drop-missing",
        "leaves training rows out of which a value is no number",
        source,
        [*more, source.after(last, "\n".join(lines))],
    )


def _known_rows(torch: str, name: str, dims: int) -> str:
    row = "" if dims < 2 else ".flatten(1).all(1)" if dims > 2 else ".all(1)"
    return f"{torch}.isfinite({name}){row}"


_MISSING = (without_loss_of_values, without_logarithms, without_rows, fill_with_median, fill_before)

TABLE = {
    "unscaled-input": (without_loss_of_values,),
    "loss-not-finite": (
        without_loss_of_values,
        *(of_lost_numbers(remedy) for remedy in _MISSING),
    ),
    "missing-values": _MISSING,
    "wrong-layout": (channels_first,),
}

# What is tried where nobody knows better.
LAST = {"loss-not-finite": (without_unseen_rows,)}
