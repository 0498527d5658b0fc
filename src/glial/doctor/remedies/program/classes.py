"""Classes of networks in the source: what they make, and what they call."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from glial.doctor.remedies.program.arrays import Arrays
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.source import Source, last_name


def network_class(case: Case) -> tuple[Source, ast.ClassDef] | None:
    """The class of the network, or of the layer that the finding is about."""
    model, call = case.model, Arrays(case).training_call
    if model is None:
        return None
    for source in (case.sources.of(model.at), call.source if call else None):
        for node in source.nodes if source is not None else ():
            if isinstance(node, ast.ClassDef) and node.name == model.kind and source is not None:
                return source, node
    return None


def classes_of(case: Case) -> Iterator[tuple[Source, ast.ClassDef]]:
    """The network's class, and then the others of its file: blocks are often their own."""
    found = network_class(case)
    if found is not None:
        source, own = found
        yield found
        for node in source.nodes:
            if isinstance(node, ast.ClassDef) and node is not own:
                yield source, node


def forward_of(kind: ast.ClassDef) -> ast.FunctionDef | None:
    """A class's ``forward``."""
    return next(
        (n for n in kind.body if isinstance(n, ast.FunctionDef) and n.name == "forward"), None
    )


def made_in(source: Source, kind: ast.ClassDef, *names: str) -> dict[str, ast.Call]:
    """Attributes of a class that hold a layer of some kinds, and the calls that make these."""
    found = {}
    for node in ast.walk(kind):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        if last_name(node.value.func) in names:
            found[source.code(node.targets[0])] = node.value
    return found


def calls_in(source: Source, function: ast.AST, names: dict[str, ast.Call]) -> list[ast.Call]:
    """The calls of some attributes within a function."""
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and source.code(node.func) in names
    ]


def has(call: ast.Call, *names: str) -> bool:
    """Whether a call is given an argument by any of some names."""
    return any(keyword.arg in names for keyword in call.keywords)


def is_true(call: ast.Call, name: str) -> bool:
    """Whether a call is given ``True`` by a name."""
    return any(
        k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is True
        for k in call.keywords
    )
