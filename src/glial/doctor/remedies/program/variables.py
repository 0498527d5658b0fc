"""Variables of a file: what sets them, and where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from glial.doctor.remedies.program.source import Source

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Module


@dataclass(frozen=True)
class Array:
    """A variable that holds rows, as it is written where it is used.

    Attributes:
        source: The file.
        node: The name, or the attribute.
        scope: The function that it belongs to, or the whole file.

    Example:
        >>> source = Source("a.py", "x = f()")
        >>> Array(source, source.calls("f")[0].func, source.tree).name
        'f'
    """

    source: Source
    node: ast.expr
    scope: Scope

    @property
    def name(self) -> str:
        """As it is written."""
        return self.source.code(self.node)

    def writes(self) -> list[ast.stmt]:
        """The statements that set it, or a part of it, before it is used, in order."""
        return writes(self.source, self.name, self.scope, self.source.statement(self.node))


def scope_of(source: Source, node: ast.AST) -> Scope:
    """The function around a node, or the whole file."""
    if isinstance(source.tree, ast.Module):
        return source.function_of(node) or source.tree
    raise TypeError("not a whole file")


def targets_of(statement: ast.stmt) -> list[ast.expr]:
    """What a statement sets, the parts of tuples one by one."""
    held: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        held = list(statement.targets)
    elif isinstance(statement, (ast.AnnAssign | ast.AugAssign, ast.For | ast.AsyncFor)):
        held = [statement.target]
    return [part for one in held for part in _parts(one)]


def _parts(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:
            yield from _parts(one)
    else:
        yield target


def base_of(target: ast.expr) -> ast.expr:
    """What a subscript is a part of."""
    while isinstance(target, ast.Subscript):
        target = target.value
    return target


def writes(source: Source, name: str, scope: Scope, before: ast.stmt) -> list[ast.stmt]:
    r"""Statements of a scope that set a name, or a part of it, before another statement.

    Example:
        >>> source = Source("a.py", "x = f()\nx[0] = 1\ng(x)")
        >>> [s.lineno for s in writes(source, "x", source.tree, source.tree.body[2])]
        [1, 2]
    """
    found = []
    for node in source.nodes:
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            continue
        if node.lineno >= before.lineno or scope_of(source, node) is not scope:
            continue
        if any(source.code(base_of(target)) == name for target in targets_of(node)):
            found.append(node)
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))
