"""Layers: activations where none are, others where gradients are lost, normalisation, width."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from glial.doctor.evidence import LayerSeen, ModelSeen
from glial.doctor.measures import LINEAR, RECTIFIERS, inner_layers, weights_of
from glial.doctor.remedies.program.case import Case, Found
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.making import (
    calls_of,
    held,
    inserted_after,
    making_of,
    stack_of,
)
from glial.doctor.remedies.program.numbers import named_numbers, value_of, written
from glial.doctor.remedies.program.source import Edit, Source, last_name
from glial.doctor.remedies.start import initialised
from glial.doctor.rules.linearity import is_factored, linear_pairs

NORMALISING = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LayerNorm", "GroupNorm", "RMSNorm")
SQUASHING = {
    "Sigmoid",
    "sigmoid",
    "Tanh",
    "tanh",
    "Hardsigmoid",
    "Softsign",
    "softsign",
    "LogSigmoid",
}
WIDEST, NARROWEST = 256, 16
FEW = 2  # layers of which gradients surely come back


def nonlinearity(case: Case) -> Iterator[Change]:
    """ReLU between linear layers that follow each other directly."""
    pairs = linear_pairs(case.evidence, takers=2)
    if not case.finding.evidence.get("factored"):
        pairs = [one for one in pairs if not is_factored(*one[1:])]
    edits: dict[str, list[Edit]] = {}
    left: list[tuple[ModelSeen, LayerSeen]] = []
    for model, before, _ in pairs:
        made = making_of(case, before)
        found = _separated(case, model, made) if made is not None else []
        if made is None or not found:
            left.append((model, before))
        else:
            edits.setdefault(made.source.path, []).extend(found)
    for path, several in _inserted(case, left):
        edits.setdefault(path, []).extend(several)
    if edits:
        each = {path: tuple(dict.fromkeys(several)) for path, several in edits.items()}
        yield Change("nonlinearity", "puts ReLU between the linear layers", each)


def _separated(case: Case, model: ModelSeen, made: Found) -> list[Edit]:
    """ReLU after the layer that a call makes, in the stack or the ``forward`` it stands in."""
    source, call = made.source, made.node
    if not isinstance(call, ast.Call) or _makes_outputs(case, model, made):
        return []
    relu, imported = source.refer("torch.nn.ReLU")
    stack = stack_of(source, call)
    if call in stack:
        place = stack.index(call)
        while place + 1 < len(stack) and _class_of(stack[place + 1]) in NORMALISING:
            place += 1
        following = stack[place + 1] if place + 1 < len(stack) else None
        if _class_of(following) == "Identity" and following is not None:
            return [source.replace(following, f"{relu}()"), *imported]
        return [inserted_after(source, stack[place], stack, f"{relu}()"), *imported]
    appended = source.parents.get(call)
    if isinstance(appended, ast.Call) and last_name(appended.func) == "append":
        owner = source.code(appended.func).removesuffix(".append")
        statement = source.statement(appended)
        return [source.after(statement, f"{owner}.append({relu}())"), *imported]
    edits: list[Edit] = []
    for used in calls_of(case, made):
        edits += _activated(source, used)
    return edits


def _makes_outputs(case: Case, model: ModelSeen, made: Found) -> bool:
    """Whether the call makes the network's last layer as well, as in a loop over widths."""
    last = weights_of(model)[-1:]
    layers = [layer for layer in model.layers if last and layer.name == last[0].layer]
    other = making_of(case, layers[0]) if layers else None
    return other is not None and other.node is made.node


def _class_of(node: ast.AST | None) -> str:
    return last_name(node.func) if isinstance(node, ast.Call) else ""


def _activated(source: Source, used: ast.Call) -> list[Edit]:
    """ReLU round the call of a layer, and round the normalisation that takes what it gives."""
    outer: ast.Call = used
    while isinstance(above := source.parents.get(outer), ast.Call) and outer in above.args[:1]:
        kind, made = _assigned_class(source, above)
        if kind == "Identity" and made is not None:
            relu, imported = source.refer("torch.nn.ReLU")
            return [source.replace(made, f"{relu}()"), *imported]
        if kind not in NORMALISING:
            break
        outer = above
    name, imported = _relu(source)
    return [source.wrap(outer, f"{name}({{}})"), *imported]


def _relu(source: Source) -> tuple[str, list[Edit]]:
    functional = {"torch.nn.functional"} & source.modules.keys()
    return source.refer("torch.nn.functional.relu" if functional else "torch.relu")


def _assigned_class(source: Source, call: ast.Call) -> tuple[str, ast.Call | None]:
    """The class of the attribute that is called, and where it is made."""
    for statement in source.assignments(source.code(call.func)):
        made = getattr(statement, "value", None)
        if isinstance(made, ast.Call):
            return last_name(made.func), made
    return "", None


def _inserted(
    case: Case, left: Iterable[tuple[ModelSeen, LayerSeen]]
) -> Iterator[tuple[str, list[Edit]]]:
    """``net.insert(1, nn.ReLU())`` for stacks whose making is not one literal."""
    wanted: dict[str, list[int]] = {}
    for model, layer in left:
        owner, _, number = layer.name.rpartition(".")
        if number.isdigit() and (owner or model.kind == "Sequential"):
            wanted.setdefault(owner, []).append(int(number) + 1)
    for place in held(case) if wanted else ():
        relu, imported = place.source.refer("torch.nn.ReLU")
        lines = [
            f"{place.name}{_reached(owner)}.insert({number}, {relu}())"
            for owner, numbers in wanted.items()
            for number in sorted(numbers, reverse=True)
        ]
        yield place.source.path, [place.insert("\n".join(lines)), *imported]
        return


def _reached(path: str) -> str:
    """How a module within another is written: ``.body[0]``."""
    parts = path.split(".") if path else []
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)


# -- other activations


def unsquashed(case: Case) -> Iterator[Change]:
    """ReLU in place of the sigmoids and tangents between a network's layers."""
    yield from _swapped(case, SQUASHING, "ReLU", "relu", "relu-inside")


def leaky(case: Case) -> Iterator[Change]:
    """Leaky ReLU in place of ReLU, so that no unit is without a gradient."""
    yield from _swapped(case, {"ReLU", "relu"}, "LeakyReLU", "leaky_relu", "leaky-relu")


def _swapped(
    case: Case, kinds: set[str], module: str, function: str, name: str
) -> Iterator[Change]:
    if case.model is None:
        return
    own = [layer for layer in inner_layers(case.model) if layer.kind in kinds]
    others = [one for one in inner_layers(case.model) if one.kind.lower() in RECTIFIERS]
    if len(own) < len(others) and function == "relu":
        return  # most are what the others would become
    edits: dict[str, list[Edit]] = {}
    last = case.model.layers[-1].at if case.model.layers and _answers(case, case.model) else None
    for layer in inner_layers(case.model):
        source = case.sources.of(layer.at)
        if layer.kind not in kinds or source is None or layer.at is None:
            continue
        if layer.at == last and layer.kind == case.model.layers[-1].kind:
            continue  # one line makes the outputs' activation, too
        for call in source.calls_at(layer.at.line, layer.kind):
            edits.setdefault(source.path, []).extend(_other(source, call, module, function))
    if edits:
        each = {path: tuple(dict.fromkeys(several)) for path, several in edits.items()}
        yield Change(name, f"takes {module} between the layers", each)


def _answers(case: Case, model: ModelSeen) -> bool:
    """Whether a loss takes what a network gives, rather than other networks."""
    return not case.evidence.losses or any(x.model == model.name for x in case.evidence.losses)


def _other(source: Source, call: ast.Call, module: str, function: str) -> list[Edit]:
    parent = source.parents.get(call)
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult):
        return []  # a gate
    if last_name(call.func)[:1].isupper():
        given, imported = source.refer(f"torch.nn.{module}")
        return [source.replace(call, f"{given}()"), *imported]
    if isinstance(call.func, ast.Attribute) and not call.args:
        if function == "relu":  # x.sigmoid()
            return [source.replace(call.func, f"{source.code(call.func.value)}.relu")]
        given, imported = source.refer(f"torch.nn.functional.{function}")
        return [source.replace(call, f"{given}({source.code(call.func.value)})"), *imported]
    given, imported = _relu(source) if function == "relu" else _functional(source, function)
    return [source.replace(call.func, given), *imported]


def _functional(source: Source, function: str) -> tuple[str, list[Edit]]:
    return source.refer(f"torch.nn.functional.{function}")


def normalised(case: Case) -> Iterator[Change]:
    """Layer normalisation after each hidden linear layer."""
    model = case.model
    if model is None or any(layer.kind in NORMALISING for layer in model.layers):
        return
    edits: dict[str, list[Edit]] = {}
    for source, call in _hidden(case, model):
        stack = stack_of(source, call)
        if call not in stack or len(call.args) < 2:
            continue
        given, imported = source.refer("torch.nn.LayerNorm")
        text = f"{given}({source.code(call.args[1])})"
        edits.setdefault(source.path, []).extend(
            [inserted_after(source, call, stack, text), *imported]
        )
    if edits:
        each = {path: tuple(dict.fromkeys(several)) for path, several in edits.items()}
        yield Change("layer-norm", "normalises what each hidden layer gives", each)


def _hidden(case: Case, model: ModelSeen) -> list[tuple[Source, ast.Call]]:
    """The calls that make a network's linear layers, but for that of what is its answer."""
    found: dict[ast.Call, Source] = {}
    for layer in model.layers:
        source = case.sources.of(layer.at)
        if layer.kind == "Linear" and source is not None and layer.at is not None:
            found |= dict.fromkeys(source.calls_at(layer.at.line, "Linear"), source)
    if not _answers(case, model):
        return [(source, call) for call, source in found.items()]
    last = next((one for one in reversed(model.layers) if one.kind in LINEAR), None)
    ends = case.sources.of(last.at) if last is not None else None
    made = ends.calls_at(last.at.line, "Linear") if ends and last and last.at else []
    final = max(made, key=lambda call: (call.lineno, call.col_offset), default=None)
    return [(source, call) for call, source in found.items() if call is not final]


def shallower(case: Case) -> Iterator[Change]:
    """Fewer of the layers that are made in a loop."""
    model = case.model
    for source, call in _hidden(case, model) if model is not None else []:
        for above in source.ancestors(call):
            loops = above.generators if isinstance(above, ast.ListComp | ast.GeneratorExp) else []
            turns = [one.iter for one in loops] + (
                [above.iter] if isinstance(above, ast.For) else []
            )
            for turn in turns:
                if not isinstance(turn, ast.Call) or last_name(turn.func) != "range":
                    continue
                count = value_of(turn.args[0]) if len(turn.args) == 1 else None
                if count is not None and count > FEW:
                    says = f"makes {FEW} hidden layers in place of {count:g}"
                    edit = source.replace(turn.args[0], str(FEW))
                    yield Change.of("fewer-layers", says, source, [edit])
                    return


# -- width


def wider(case: Case) -> Iterator[Change]:
    """Hidden layers as narrow as the one that is named become as wide as their neighbours."""
    model, narrow = case.model, case.finding.evidence.get("width")
    if model is None or narrow is None:
        return
    shapes = [weight.shape for weight in weights_of(model)]
    around = max((size for shape in shapes for size in shape[:2] if size != narrow), default=0)
    width = min(WIDEST, max(NARROWEST, 2 ** max(0, int(around - 1).bit_length())))
    edits: dict[str, list[Edit]] = {}
    weights = weights_of(model)
    for weight in weights:
        source = case.sources.of(weight.at)
        layer = next((one for one in model.layers if one.name == weight.layer), None)
        made = making_of(case, layer) if layer is not None else None
        call = made.node if made is not None else None
        if source is None or not isinstance(call, ast.Call) or len(weight.shape) < 2:
            continue
        names = ("out_features", "out_channels"), ("in_features", "in_channels")
        for axis, position in ((0, 1), (1, 0)):
            ends = weight is (weights[-1] if axis == 0 else weights[0])
            given = [k.value for k in call.keywords if k.arg in names[axis]]
            given = given or call.args[position : position + 1]
            if ends or weight.shape[axis] != narrow or not given:
                continue
            for number, path in _width(case, source, given[0], float(narrow)):
                edits.setdefault(path, []).append(Edit(*number, written(width)))
    if edits:
        each = {path: tuple(dict.fromkeys(several)) for path, several in edits.items()}
        says = f"widens hidden layers from {narrow:g} to {width} units"
        yield Change("wider-layers", says, each)


def _width(
    case: Case, source: Source, node: ast.expr, value: float
) -> Iterator[tuple[tuple[int, int], str]]:
    """Where a width is written down."""
    if value_of(node) is not None:
        yield source.span(node), source.path
        return
    for number in named_numbers(case, (last_name(node),), value, first=source):
        yield number.source.span(number.node), number.source.path


# -- through time


def gated(case: Case) -> Iterator[Change]:
    """Gated recurrent units in place of plain ones."""
    for source in case.files:
        for call in source.calls("RNN"):
            given, imported = source.refer("torch.nn.GRU")
            gone = source.without_argument(call, "nonlinearity")
            edits = [source.replace(call.func, given), *imported]
            yield Change.of(
                "gated-units",
                "takes gated recurrent units (GRU) in place of plain ones",
                source,
                [*edits, *([gone] if gone is not None else [])],
            )


TABLE = {
    "missing-nonlinearity": (nonlinearity,),
    "vanishing-gradient": (unsquashed, shallower, normalised, initialised, gated),
    "saturated-units": (unsquashed, normalised, initialised),
    "dead-units": (leaky, initialised),
    "underfitting": (wider,),
}
