"""Random changes of the inputs: taken out, or made smaller."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from glial.doctor.remedies.program.alterations import (
    DRAWS,
    RANDOM,
    calls_in,
    number,
)
from glial.doctor.remedies.program.arrays import Arrays
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source, last_name


def drop_noise(case: Case) -> Iterator[Change]:
    """A random change of the inputs is taken out, or made ten times smaller."""
    arrays, loss = Arrays(case), case.loss
    call = arrays.training_call
    statements: list[tuple[Source, ast.stmt]] = []
    if call is not None:
        statements.append((call.source, call.source.statement(call.node)))
        loops = call.source.loops_of(call.node)
        if loops and isinstance(call.node, ast.Call):
            names = {n.id for n in ast.walk(call.node) if isinstance(n, ast.Name)}
            for one in ast.walk(loops[0]):
                if isinstance(one, ast.Assign | ast.AugAssign) and any(
                    n.id in names for n in ast.walk(one) if isinstance(n, ast.Name)
                ):
                    statements.append((call.source, one))
    drawn = case.statement(loss.noise_at) if loss is not None else None
    if drawn is not None and isinstance(drawn.node, ast.stmt):
        statements.insert(0, (drawn.source, drawn.node))
    for source, statement in dict.fromkeys(statements):
        for edit in _noise_edits(source, statement):
            yield Change.of("drop-noise", "takes out a random change of the inputs", source, [edit])
        for edit in _weaker(source, statement):
            yield Change.of(
                "weaken-noise",
                "makes a random change of the inputs ten times smaller",
                source,
                [edit],
            )


def _noise_edits(source: Source, statement: ast.stmt) -> Iterator[Edit]:
    if isinstance(statement, ast.AugAssign) and calls_in(statement.value, RANDOM):
        yield source.remove(statement)
        return
    drawing = {
        node.name
        for node in source.nodes
        if isinstance(node, ast.FunctionDef) and calls_in(node, RANDOM)
    }
    for node in ast.walk(statement):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
            left, right = calls_in(node.left, RANDOM), calls_in(node.right, RANDOM)
            if left != right and number(node.right if left else node.left) is None:
                yield source.replace(node, source.code(node.right if left else node.left))
                return
        elif isinstance(node, ast.Subscript) and calls_in(node.slice, DRAWS):
            if _is_of_columns(node.slice):
                yield source.replace(node, source.code(node.value))
                return
        elif isinstance(node, ast.Call) and node.args and last_name(node.func) in drawing:
            yield source.replace(node, source.code(node.args[0]))
            return


def _is_of_columns(index: ast.expr) -> bool:
    """Whether an index draws an order of columns: not of rows alone."""
    return isinstance(index, ast.Tuple) and not calls_in(index.elts[0], DRAWS)


def _weaker(source: Source, statement: ast.stmt) -> Iterator[Edit]:
    for node in ast.walk(statement):
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult):
            continue
        for size, other in ((node.left, node.right), (node.right, node.left)):
            value = number(size)
            if value and calls_in(other, RANDOM):
                yield source.replace(size, f"{value / 10:g}")
                return


TABLE = {
    "harmful-augmentation": (drop_noise,),
    "misaligned-labels": (drop_noise,),
    "underfitting": (drop_noise,),
}
