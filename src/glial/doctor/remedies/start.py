"""The first weights: what sets them badly is set right or taken out, or they are drawn anew."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Sequence

from glial.doctor.evidence import ParameterSeen
from glial.doctor.measures import NORMS, weights_of
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.making import each_layer, held
from glial.doctor.remedies.program.numbers import value_of
from glial.doctor.remedies.program.source import Edit, Source, last_name

CONSTANTS = {"zeros_": 0.0, "zero_": 0.0, "ones_": 1.0}
NEAR = 0.2  # of a deviation, by which it is known again
LARGE, SMALL, FAR = 4.0, 0.02, 1.0  # what signals grow by in a layer, and how far biases begin


def reset_or_corrected(case: Case) -> Iterator[Change]:
    """What sets weights badly is set right; else they are drawn anew."""
    yield from corrected(case)
    yield from drawn_anew(case)


def corrected(case: Case) -> Iterator[Change]:
    """The calls that gave the weights what is wrong with them are set right, or taken out."""
    bad = list(_badly_begun(case))
    for source in case.files:
        edits: list[Edit] = []
        taken_out = False
        for call in source.calls():
            drawn = _drawn(call)
            if drawn is None or not any(_is_of(weight, *drawn) for weight in bad):
                continue
            found = _set_right(source, call)
            if not found:
                found = [_taken_out(source, source.statement(call))]
                taken_out = True
            edits += found
        if edits:
            does = (
                "leaves the weights as torch begins them"
                if taken_out
                else ("begins with weights by He for the width of each layer, and biases of 0")
            )
            name = "usual-weights" if taken_out else "he-weights"
            yield Change.of(name, does, source, list(dict.fromkeys(edits)))


def _badly_begun(case: Case) -> Iterator[ParameterSeen]:
    """The parameters of the network whose first values no signal passes well."""
    model = case.model
    if model is None:
        return
    normed = any(layer.kind in NORMS for layer in model.layers)
    weights = weights_of(model)
    for weight in weights:
        ratio = weight.std * math.sqrt(max(1, math.prod(weight.shape[1:])))
        if weight.equal_units >= 0.5 or (not normed and not SMALL <= ratio <= LARGE):
            yield weight
    for bias in model.parameters:
        if len(bias.shape) == 1 and bias.name.endswith("bias") and abs(bias.mean) > FAR:
            yield bias


def _drawn(call: ast.Call) -> tuple[float, float] | None:
    """Mean and deviation of what a call fills a tensor with; None of other calls."""
    name, method = last_name(call.func), isinstance(call.func, ast.Attribute)
    on_tensor = method and not _is_module(call.func)
    given = [value_of(one) for one in (call.args if on_tensor else call.args[1:])]
    named = {k.arg: value_of(k.value) for k in call.keywords}

    def number(place: int, key: str, default: float) -> float:
        by_place = given[place] if len(given) > place else default
        value = named.get(key, by_place)
        return math.nan if value is None else value

    if name in CONSTANTS:
        return CONSTANTS[name], 0.0
    if name == "constant_" or (name == "fill_" and on_tensor):
        return number(0, "val", math.nan), 0.0
    if name in ("normal_", "trunc_normal_"):
        return number(0, "mean", 0.0), number(1, "std", 1.0)
    if name == "uniform_":
        low, high = number(0, "a", 0.0), number(1, "b", 1.0)
        return (low + high) / 2, (high - low) / math.sqrt(12)
    return None


def _is_module(function: ast.expr) -> bool:
    """Whether a function belongs to ``torch.nn.init``, and is no method of a tensor."""
    return isinstance(function, ast.Attribute) and last_name(function.value) == "init"


def _is_of(weight: ParameterSeen, mean: float, std: float) -> bool:
    """Whether a parameter's first values may have been drawn so."""
    if math.isnan(std):
        return False
    if std == 0:
        known = math.isclose(weight.mean, mean, rel_tol=1e-3, abs_tol=1e-12)
        return weight.std <= 1e-6 * max(1.0, abs(weight.mean)) and (known or math.isnan(mean))
    return abs(weight.std - std) < NEAR * std


def _set_right(source: Source, call: ast.Call) -> list[Edit]:
    """He's weights, or a bias of 0, in place of a call that names the layer's weight or bias."""
    on_tensor = isinstance(call.func, ast.Attribute) and not _is_module(call.func)
    target = (
        call.func.value
        if on_tensor and isinstance(call.func, ast.Attribute)
        else (call.args[0] if call.args else None)
    )
    if target is None:
        return []
    code = source.code(target).removesuffix(".data")
    if code.endswith("weight"):
        name, imported = _beside(source, call, "kaiming_normal_")
        return [source.replace(call, f"{name}({code})"), *imported]
    if code.endswith("bias"):
        name, imported = _beside(source, call, "zeros_")
        return [source.replace(call, f"{name}({code})"), *imported]
    return []


def _beside(source: Source, call: ast.Call, name: str) -> tuple[str, list[Edit]]:
    if _is_module(call.func) and isinstance(call.func, ast.Attribute):
        return f"{source.code(call.func.value)}.{name}", []
    return source.refer(f"torch.nn.init.{name}")


def _taken_out(source: Source, statement: ast.stmt) -> Edit:
    """A statement goes, with the loops and conditions that hold nothing else."""
    while True:
        parent = source.parents.get(statement)
        alone = isinstance(parent, ast.For | ast.If | ast.With) and parent.body == [statement]
        if not alone or getattr(parent, "orelse", []) or not isinstance(parent, ast.stmt):
            return source.remove(statement)
        statement = parent


def drawn_anew(case: Case) -> Iterator[Change]:
    """Every layer draws its weights once more, as torch does, before the optimiser is made."""
    for place in held(case):
        if place.before is None:
            continue
        lines = (
            f"for layer in {place.name}.modules():\n"
            f'    if hasattr(layer, "reset_parameters"):\n'
            f"        layer.reset_parameters()"
        )
        yield Change.of(
            "drawn-anew",
            "has every layer draw its weights once more, as torch does",
            place.source,
            [place.insert(lines)],
        )
        return


def initialised(case: Case) -> Iterator[Change]:
    """First weights by He for the width of each layer, once the network is whole."""
    for place in held(case):
        call = '{}(layer.weight, nonlinearity="relu")'
        edits = each_layer(case, place, "torch.nn.init.kaiming_normal_", call)
        says = "begins with weights by He, for the width of each layer"
        yield Change.of("he-init", says, place.source, edits)


def scaled(case: Case) -> Iterator[Change]:
    """Tensors that a script draws itself for weights get He's deviation for their inputs."""
    shapes = [tuple(weight.shape) for weight in _badly_begun(case) if len(weight.shape) == 2]
    for source in case.files:
        edits: list[Edit] = []
        for call in source.calls("randn"):
            first = call.args[0] if call.args else None
            sizes = first.elts if isinstance(first, ast.Tuple | ast.List) else call.args
            if len(sizes) == 2 and any(_may_be(sizes, shape) for shape in shapes):
                edits += _by_he(source, call, sizes)
        if edits:
            says = "draws weights with He's deviation for the number of inputs"
            yield Change.of("scaled-weights", says, source, edits)


def _may_be(sizes: Sequence[ast.expr], shape: tuple[int, ...]) -> bool:
    """Whether sizes, as far as they are numbers, are those of a shape."""
    known = [value_of(size) for size in sizes]
    return all(one in (None, size) for one, size in zip(known, shape, strict=True))


def _by_he(source: Source, call: ast.Call, sizes: Sequence[ast.expr]) -> list[Edit]:
    """The factor of a drawn tensor, or one where it has none."""
    statement = source.statement(call)
    names = [source.code(one) for one in getattr(statement, "targets", [])]
    # Inputs come first where they stand to the left of the product, as in x @ w.
    left = any(
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.MatMult)
        and source.code(node.right) in names
        for node in source.nodes
    )
    deviation = f"(2 / {source.code(sizes[0 if left else 1])}) ** 0.5"
    parent = source.parents.get(call)
    drawn = isinstance(parent, ast.BinOp) and parent.left is call
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult):
        return [source.replace(parent.right if drawn else parent.left, deviation)]
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Div) and drawn:
        return [source.replace(parent, f"{source.code(call)} * {deviation}")]
    if any(keyword.arg == "requires_grad" for keyword in call.keywords):
        # A product of it would be no leaf, and get no gradient.
        others = [k for k in call.keywords if k.arg != "requires_grad"]
        given = ", ".join(source.code(one) for one in (*call.args, *others))
        drawing = f"{source.code(call.func)}({given})"
        return [source.replace(call, f"({drawing} * {deviation}).requires_grad_()")]
    bare = isinstance(parent, ast.Assign | ast.AnnAssign | ast.Call)
    return [source.wrap(call, f"{{}} * {deviation}" if bare else f"({{}} * {deviation})")]


TABLE = {
    "symmetric-units": (reset_or_corrected, initialised),
    "bad-initial-scale": (reset_or_corrected, scaled, initialised),
    "bad-initial-loss": (corrected,),
    "dead-units": (corrected,),
    "saturated-units": (corrected,),
    "exploding-gradient": (corrected,),
    "vanishing-gradient": (corrected,),
    "activation-collapse": (corrected,),
}
