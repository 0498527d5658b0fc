"""Inputs and targets: the scales that they lie on."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glial.doctor.evidence import TensorSeen
from glial.doctor.remedies.program.alterations import (
    RANDOM,
    Write,
    alterations,
    calls_in,
    closed,
    factors,
    scale_of_write,
    without,
)
from glial.doctor.remedies.program.arrays import Arrays, fresh
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.flow import Flow
from glial.doctor.remedies.program.networks import before_training, network_statement
from glial.doctor.remedies.program.numbers import value_of
from glial.doctor.remedies.program.source import Edit, Source
from glial.doctor.remedies.program.variables import Array

UNEVEN = 20.0  # columns are scaled one by one where scales differ by more
CONVERSIONS = ("tensor", "as_tensor", "from_numpy", "FloatTensor", "Tensor", "float", "astype")
NEARER = 3.0  # a constant is taken out if that brings the scale so much nearer to 1
FEW = 0.1  # so many rows may be left out


def inputs_seen(case: Case, phase: str = "train") -> TensorSeen | None:
    """The network's first input of real numbers."""
    model = case.model
    seen = model.inputs.get("train" if phase == "train" else "eval", []) if model else []
    return next((one for one in seen if "float" in one.dtype), None)


# -- scales


def without_factor(case: Case) -> Iterator[Change]:
    """A constant that inputs are multiplied by is taken out."""
    seen, arrays = inputs_seen(case), Arrays(case)
    if seen is None or arrays.inputs is None:
        return
    yield from _without_factor(arrays.inputs, arrays.asked, seen, "inputs")


def _without_factor(
    array: Array, others: Sequence[Array], seen: TensorSeen, what: str
) -> Iterator[Change]:
    size = math.hypot(seen.mean, seen.std)
    best = max(_options(array, size, max(seen.stds, default=size)), default=None, key=_gain_of)
    if best is None or best.gain <= math.log(NEARER):
        return
    write, source = best.write, best.write.source
    theirs = [one for other in others for one in alterations(other)]
    if best.node is None:
        same = [one for one in theirs if _scales_so(one, best) and one.source is source]
        edits = without(source, [write, *(one for one in same if one.target is not write.target)])
    else:
        found = {best.node: _kept_of(write, best.node)}
        for one in theirs:
            for factor in factors(one.value):
                if math.isclose(factor.size, best.factor) and not one.partial:
                    found[factor.node] = factor.kept
        edits = [source.replace(node, source.code(kept)) for node, kept in found.items()]
    yield Change.of(
        "drop-factor",
        f"takes out the factor of {best.factor:g} that {what} are multiplied by",
        source,
        edits,
    )


@dataclass(frozen=True)
class Option:
    """A constant that may be taken out: with its statement, or by itself."""

    gain: float
    factor: float
    write: Write
    node: ast.expr | None = None


def _gain_of(option: Option) -> float:
    return option.gain


def _options(array: Array, size: float, largest: float) -> Iterator[Option]:
    for write in alterations(array):
        if not _prepares(write, array):
            continue
        scale = largest if write.partial else size
        if not 0 < scale < math.inf:
            continue
        whole = scale_of_write(write)
        ways: list[tuple[float, ast.expr | None]] = []
        if whole is not None and whole > 0:
            ways.append((whole, None))
        elif not write.partial:
            ways += [(factor.size, factor.node) for factor in factors(write.value)]
        for factor, node in ways:
            gain = abs(math.log(scale)) - abs(math.log(scale / factor))
            yield Option(gain, factor, write, node)


def _prepares(write: Write, array: Array) -> bool:
    """Whether a statement prepares data, and does not make them up or compute others from them."""
    if calls_in(write.value, RANDOM):
        return False
    return write.name == array.name or write.uses_itself or calls_in(write.value, CONVERSIONS)


def _scales_so(one: Write, option: Option) -> bool:
    """Whether a write multiplies an array, or the same part of it, by the same constant."""
    scale, write = scale_of_write(one), option.write
    if scale is None or not math.isclose(scale, option.factor):
        return False
    parts = [x.target.slice if isinstance(x.target, ast.Subscript) else None for x in (one, write)]
    codes = [None if part is None else one.source.code(part) for part in parts]
    return codes[0] == codes[1]


def _kept_of(write: Write, node: ast.expr) -> ast.expr:
    return next(factor.kept for factor in factors(write.value) if factor.node is node)


def scale_columns(case: Case) -> Iterator[Change]:
    """The training mean is subtracted, and its deviation divided by, before training."""
    seen, arrays = inputs_seen(case), Arrays(case)
    if seen is None or arrays.inputs is None:
        return
    if arrays.copies_inputs or any(arrays.array_of(c) is None for c in arrays.asking_calls):
        return
    every = [arrays.inputs, *arrays.asked]
    ready = arrays.ready(every)
    if ready is None:
        return
    source, last = ready
    x = arrays.inputs.name
    uneven = len(seen.shape) == 2 and is_uneven(seen)
    mean, std = fresh(source, "mean", "std")
    axis = "0" if uneven else ""
    lines = [f"{mean}, {std} = {x}.mean({axis}), {x}.std({axis})"]
    if uneven:
        lines.append(f"{std}[{std} == 0] = 1")
    lines += [f"{one.name} = ({one.name} - {mean}) / {std}" for one in every]
    yield Change.of(
        "scale-columns" if uneven else "scale-inputs",
        "subtracts the training inputs' mean and divides by their standard deviation",
        source,
        [source.after(last, "\n".join(lines))],
    )


def is_uneven(seen: TensorSeen) -> bool:
    """Whether columns lie on scales of their own.

    Example:
        >>> is_uneven(TensorSeen(means=[0.0, 0.0, 700.0], stds=[1.0, 1.0, 300.0]))
        True
    """
    sizes = sorted(
        size for m, s in zip(seen.means, seen.stds, strict=False) if (size := math.hypot(m, s)) > 0
    )
    if len(sizes) < 2:
        return False
    middle, low = sizes[len(sizes) // 2], sizes[len(sizes) // 4]
    return sizes[-1] > UNEVEN * middle or middle > UNEVEN * low or sizes[-1] > UNEVEN * sizes[0] * 5


def fit_normalize(case: Case) -> Iterator[Change]:
    """What torchvision's ``Normalize`` divides by, and subtracts, gives inputs a scale of 1."""
    seen = inputs_seen(case)
    if seen is None or not 0 < seen.std < math.inf:
        return
    for source in case.files:
        edits: list[Edit] = []
        for call in source.calls("Normalize"):
            named = {k.arg: k.value for k in call.keywords}
            given = [named.get("mean"), named.get("std")]
            given = [
                one or part for one, part in zip(given, [*call.args, None, None], strict=False)
            ]
            means, stds = (getattr(one, "elts", []) for one in given)
            for mean, std in zip(means, stds, strict=False):
                center, size = value_of(mean), value_of(std)
                if center is None or not size:
                    return
                edits.append(source.replace(std, _near(source, std, size * seen.std)))
                if abs(seen.mean) > seen.std:
                    edits.append(source.replace(mean, f"{center + seen.mean * size:.4g}"))
        if edits:
            says = "normalises by what gives inputs a mean near 0 and a deviation near 1"
            yield Change.of("fit-normalize", says, source, edits)


def _near(source: Source, node: ast.expr, wanted: float) -> str:
    """A number: a factor of what is written, if that is near enough, or else to four digits."""
    for kept in (node.left, node.right) if isinstance(node, ast.BinOp) else ():
        value = value_of(kept)
        if value is not None and value > 0 and abs(math.log(value / wanted)) < math.log(1.5):
            return source.code(kept)
    return f"{wanted:.4g}"


def scale_before(case: Case) -> Iterator[Change]:
    """The network's own first step subtracts what was seen to be the mean, and divides."""
    seen, model = inputs_seen(case), case.model
    if seen is None or model is None or not seen.std > 0:
        return
    found = network_statement(case)
    if found is None:
        return
    source, statement, name = found
    nn, more = source.refer("torch.nn")
    if len(seen.shape) == 2 and is_uneven(seen) and _is_only_called(source, name):
        line = f"{name} = {nn}.Sequential({nn}.BatchNorm1d({seen.shape[1]}, affine=False), {name})"
        yield Change.of(
            "normalise-first",
            "puts a normalisation of each input column before the network",
            source,
            [*more, source.after(statement, line)],
        )
        return
    moved = f"inputs[0] {'-' if seen.mean >= 0 else '+'} {abs(seen.mean):.4g}"
    line = (
        f"{name}.register_forward_pre_hook(\n"
        f"    lambda module, inputs: (({moved}) / {seen.std:.4g}, *inputs[1:])\n)"
    )
    yield Change.of(
        "scale-first",
        "has the network subtract its inputs' mean and divide by their deviation, as seen",
        source,
        [source.after(statement, line)],
    )


def _is_only_called(source: Source, name: str) -> bool:
    """Whether nothing of a network but what every module has is used."""
    known = {"parameters", "train", "eval", "to", "state_dict", "load_state_dict", "modules"}
    known |= {"zero_grad", "named_parameters", "cuda", "cpu", "double", "float", "requires_grad_"}
    return all(
        node.attr in known
        for node in source.nodes
        if isinstance(node, ast.Attribute) and source.code(node.value) == name
    )


def scale_targets(case: Case) -> Iterator[Change]:
    """The network learns targets of mean 0 and deviation 1, and answers in their own units."""
    loss, arrays = case.loss, Arrays(case)
    taught = arrays.training_call
    if loss is None or loss.target is None or taught is None or not loss.target.std > 0:
        return
    if loss.name not in (*_BY_DISTANCE, "hand-written"):
        return  # it is not one of differences alone
    found = network_statement(case)
    if found is None or found[0] is not taught.source:
        return
    source, made, network = found
    target = arrays.targets
    ready = arrays.ready([target]) if target is not None else None
    known = [ready[1]] if ready is not None and ready[0] is source else []
    start = before_training(taught, made, *known)
    if start is None:
        return
    given = _compared(arrays, loss.name)
    if len(given) < 2:
        return
    mean, std = fresh(source, "target_mean", "target_std")
    own = target is not None and known and _reaches(source, target, start)
    axis = "0" if len(loss.target.shape) == 2 and loss.target.shape[1] > 1 else ""
    if own and target is not None:
        y = target.name
        value = f"{mean}, {std} = {y}.mean({axis}), {y}.std({axis})"
    else:
        value = f"{mean}, {std} = {loss.target.mean:.5g}, {loss.target.std:.5g}  # as in training"
    hook = (
        f"{network}.register_forward_hook(lambda module, inputs, output: output * {std} + {mean})"
    )
    edits = [source.before(start, f"{value}\n{hook}")]
    for one in given:
        text = f"{closed(source, one)} / {std}"
        inner = isinstance(source.parents[one], ast.BinOp | ast.Attribute)
        edits.append(source.replace(one, f"({text})" if inner else text))
    yield Change.of(
        "scale-targets",
        "has the network learn targets of mean 0 and deviation 1, and answer in their units",
        source,
        edits,
        alters_loss=True,
    )


def rebuild_as_given(case: Case) -> Iterator[Change]:
    """What is to be rebuilt is compared on the scale on which the network is given it."""
    call, taught = case.loss_call, Arrays(case).training_call
    if call is None or taught is None or call.source is not taught.source:
        return
    if not isinstance(call.node, ast.Call) or not isinstance(taught.node, ast.Call):
        return
    source = call.source
    given = {source.code(one) for one in taught.node.args}
    for one in [*call.node.args, *(k.value for k in call.node.keywords)]:
        for factor in factors(one):
            if factor.node is one and source.code(factor.kept) in given:
                says = f"compares with what the network is given, not with {factor.size:g} times it"
                edit = source.replace(one, source.code(factor.kept))
                yield Change.of("rebuild-as-given", says, source, [edit], alters_loss=True)


def _compared(arrays: Arrays, name: str) -> list[ast.expr]:
    """What the loss compares: the network's answers and the targets, where it is computed."""
    case, taught = arrays.case, arrays.training_call
    call = case.loss_call
    if taught is None:
        return []
    source = taught.source
    if name != "hand-written":
        if call is None or not isinstance(call.node, ast.Call) or call.source is not source:
            return []
        named = [k.value for k in call.node.keywords if k.arg in ("input", "target")]
        return [*call.node.args[:2], *named]
    found = case.loss_statement
    if found is None or found.source is not source:
        return []
    answers = arrays.answers(source)
    nodes = [
        node
        for node in ast.walk(found.node)
        if isinstance(node, ast.Call | ast.Name | ast.Subscript)
        and not isinstance(getattr(node, "ctx", None), ast.Store)
    ]
    outputs = [node for node in nodes if source.code(node) in answers]
    targets = [
        node
        for node in nodes
        if not isinstance(node, ast.Call)
        and (array := Flow(source).array(node)) is not None
        and arrays.targets is not None
        and array.name == arrays.targets.name
    ]
    whole: list[ast.expr] = [*outputs[:1], *targets[:1]]
    return whole if outputs and targets else []


_BY_DISTANCE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


def _reaches(source: Source, array: Array, statement: ast.stmt) -> bool:
    """Whether an array is known by its name where a statement stands."""
    function = source.function_of(statement)
    return array.scope is (function or source.tree) or array.scope is source.tree


TABLE = {
    "unscaled-input": (without_factor, fit_normalize, scale_columns, scale_before),
    "constant-input": (without_factor, fit_normalize, scale_columns, scale_before),
    "unscaled-target": (rebuild_as_given, scale_targets),
    "wrong-output-activation": (rebuild_as_given,),
}
