"""Where networks are made and called, in the source."""

from __future__ import annotations

import ast

from glial.doctor.remedies.program.arrays import Arrays
from glial.doctor.remedies.program.case import Case, Found
from glial.doctor.remedies.program.flow import Flow
from glial.doctor.remedies.program.source import Source
from glial.doctor.remedies.program.variables import scope_of, writes


def network_statement(case: Case) -> tuple[Source, ast.stmt, str] | None:
    """The statement that last sets the variable of the network, and that variable.

    Example:
        >>> from glial.core.findings import Finding
        >>> from glial.doctor.evidence import Evidence
        >>> case = Case(Finding("leakage", "note", None, {}, "It.", "Do."), Evidence())
        >>> network_statement(case) is None
        True
    """
    call = Arrays(case).training_call
    if call is None or not isinstance(call.node, ast.Call):
        return None
    source, function = call.source, call.node.func
    array = Flow(source).array(function)
    if array is None:
        return None
    made = [
        one
        for one in writes(source, array.name, array.scope, _end(source))
        if isinstance(one, ast.Assign)
        and isinstance(one.value, ast.Call)
        and source.code(one.targets[0]) == array.name
    ]
    if not made or scope_of(source, made[-1]) is not array.scope:
        return None
    return source, made[-1], array.name


def _end(source: Source) -> ast.stmt:
    return max((n for n in source.nodes if isinstance(n, ast.stmt)), key=lambda n: n.lineno)


def before_training(call: Found, *made: ast.stmt) -> ast.stmt | None:
    """The outermost loop around a call, or else its statement; None where that is too early.

    Args:
        call: What is called again and again.
        made: Statements that have to come before: loops around these are left out.
    """
    source = call.source
    around = [one for statement in made for one in source.ancestors(statement)]
    loops = [one for one in source.loops_of(call.node) if one not in around]
    start = loops[-1] if loops else source.statement(call.node)
    return start if all(one.lineno < start.lineno for one in made) else None
