"""Networks in the source: where layers are made and called, and where a whole one is at hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from glial.doctor.evidence import LayerSeen
from glial.doctor.measures import CONVOLUTIONS, LINEAR, weights_of
from glial.doctor.remedies.program.case import Case, Found
from glial.doctor.remedies.program.source import Edit, Source, last_name


@dataclass(frozen=True)
class Held:
    """A network that a variable holds where its optimiser is about to be made.

    Attributes:
        source: The file.
        name: What it is written as: ``net``, ``self.net``.
        before: The statement that makes the optimiser; None where ``after`` is known.
        after: The last statement of the network's own ``__init__``.
    """

    source: Source
    name: str
    before: ast.stmt | None = None
    after: ast.stmt | None = None

    def insert(self, text: str) -> Edit:
        """Lines that treat the network once it is whole."""
        if self.before is not None:
            return self.source.before(self.before, text)
        if self.after is None:
            raise ValueError("no place for it")
        return self.source.after(self.after, text)


def held(case: Case) -> Iterator[Held]:
    """Where the network of a finding is whole, and not yet trained: the likeliest first."""
    for optimizer in case.evidence.optimizers:
        if case.model is not None and optimizer.model not in (None, case.model.name):
            continue
        made = case.making_of(optimizer)
        call = made.node if made is not None else None
        first = call.args[0] if isinstance(call, ast.Call) and call.args else None
        of = first.func if isinstance(first, ast.Call) and not first.args else None
        if made is not None and isinstance(of, ast.Attribute) and of.attr == "parameters":
            name = made.source.code(of.value)
            yield Held(made.source, name, before=made.source.statement(of))
    begun = own_init(case)
    if begun is not None:
        yield begun


def own_init(case: Case) -> Held | None:
    """The end of the ``__init__`` of the class that makes most of a network's weights."""
    model = case.model
    counts: dict[ast.FunctionDef, tuple[int, Source]] = {}
    for weight in weights_of(model) if model is not None else ():
        source = case.sources.of(weight.at)
        if source is None or weight.at is None:
            continue
        for call in source.calls_at(weight.at.line)[:1]:
            around = source.function_of(call)
            if isinstance(around, ast.FunctionDef) and around.name == "__init__":
                counts[around] = (counts.get(around, (0, source))[0] + 1, source)
    if not counts:
        return None
    function = max(counts, key=lambda one: counts[one][0])
    return Held(counts[function][1], "self", after=function.body[-1])


def making_of(case: Case, layer: LayerSeen) -> Found | None:
    """The call that makes a layer; of several on one line that at the layer's place in a stack."""
    source = case.sources.of(layer.at)
    if source is None or layer.at is None:
        return None
    found = source.calls_at(layer.at.line, layer.kind)
    if len(found) > 1:
        number = layer.name.rpartition(".")[2]
        found = [one for one in found if number.isdigit() and _index(source, one) == int(number)]
    return Found(source, found[0]) if len(found) == 1 else None


def stack_of(source: Source, call: ast.Call) -> list[ast.expr]:
    """The layers among which a layer is made: arguments of ``Sequential``, elements of a list."""
    parent = source.parents.get(call)
    if isinstance(parent, ast.Call) and last_name(parent.func) in ("Sequential", "ModuleList"):
        return parent.args
    return parent.elts if isinstance(parent, ast.List | ast.Tuple) else []


def _index(source: Source, call: ast.Call) -> int:
    stack = stack_of(source, call)
    place = stack.index(call) if call in stack else -1
    return -1 if any(isinstance(one, ast.Starred) for one in stack[: max(0, place)]) else place


def inserted_after(source: Source, call: ast.expr, stack: list[ast.expr], text: str) -> Edit:
    """One more layer after a layer of a stack, on a line of its own where the next has one."""
    end = source.span(call)[1]
    place = stack.index(call)
    near = stack[place + 1] if place + 1 < len(stack) else None
    own = near is not None and near.lineno > (call.end_lineno or 0)
    if near is None and place:
        before = stack[place - 1]
        own = call.lineno > (before.end_lineno or 0)
    if not own:
        return Edit(end, end, f", {text}")
    start = source.position(call.lineno, 0)
    line = source.text[start : source.span(call)[0]]
    margin = line[: len(line) - len(line.lstrip())]
    return Edit(end, end, f",{source.newline}{margin}{text}")


def calls_of(case: Case, made: Found) -> list[ast.Call]:
    """Where a layer that is an attribute of a network is called, in the network's own class."""
    source, statement = made.source, made.source.statement(made.node)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    names = {t.attr for t in targets if isinstance(t, ast.Attribute) and _is_self(t.value)}
    around = next((a for a in source.ancestors(statement) if isinstance(a, ast.ClassDef)), None)
    if around is None or made.node is not getattr(statement, "value", None):
        return []
    return [
        node
        for node in ast.walk(around)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and _is_self(node.func.value)
        and node.func.attr in names
    ]


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def weighted_kinds(case: Case, source: Source) -> tuple[str, list[Edit]]:
    """The classes of a network's linear and convolution layers, as ``isinstance`` takes them."""
    model = case.model
    kinds = [layer.kind for layer in model.layers] if model is not None else []
    known = [k for k in dict.fromkeys(kinds) if k in CONVOLUTIONS or k in LINEAR]
    named = [source.refer(f"torch.nn.{kind}") for kind in known if kind[0].isupper()]
    edits = list(dict.fromkeys(edit for _, several in named for edit in several))
    names = [name for name, _ in named] or ["torch.nn.Linear"]
    return (names[0] if len(names) == 1 else f"({', '.join(names)})"), edits


def each_layer(case: Case, place: Held, function: str, call: str) -> list[Edit]:
    """A loop that treats each linear and convolution layer of a network, once it is whole.

    Args:
        case: What is to be mended.
        place: Where the network is whole.
        function: A function of torch, by its full name.
        call: How it is called, with ``{}`` for its name and ``layer`` for a layer.
    """
    kinds, imported = weighted_kinds(case, place.source)
    name, also = place.source.refer(function)
    loop = (
        f"for layer in {place.name}.modules():\n"
        f"    if isinstance(layer, {kinds}):\n"
        f"        {call.format(name)}"
    )
    return list(dict.fromkeys([place.insert(loop), *imported, *also]))
