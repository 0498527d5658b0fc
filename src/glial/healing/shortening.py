"""A part of a script's training: its loop over epochs or steps, with fewer turns."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from glial.core.findings import Place
from glial.doctor.evidence import Evidence
from glial.doctor.remedies import Edit, Source, Sources
from glial.doctor.remedies.program.source import edited, last_name

MOST_CALLERS = 5
RANGES = ("range", "trange")
# Arguments by which trainers are told how long to train, and whether part of one is a number.
LENGTHS = {"max_epochs": False, "num_train_epochs": True, "max_steps": False}


@dataclass(frozen=True)
class Turns:
    """The number of turns of a training, where it stands in the source.

    Attributes:
        path: The file.
        code: The loop's head, or the trainer's argument.
        nth: Which one, of several that read alike.
        fractions: Whether a part of a turn can be asked for.

    Example:
        >>> Turns("train.py", "range(9)", 0).fractions
        False
    """

    path: str
    code: str
    nth: int
    fractions: bool = False


def find_turns(evidence: Evidence, sources: Sources) -> Turns | None:
    """Where a script says how long it trains.

    That is the outermost loop over a range in which the busiest optimiser steps and is not made
    anew, or what a trainer is given.

    Args:
        evidence: What was seen of its training.
        sources: Its files.

    Returns:
        None where that is not clear.

    Example:
        >>> find_turns(Evidence(), Sources()) is None
        True
    """
    optimizer = max(evidence.optimizers, key=lambda one: one.steps, default=None)
    if optimizer is None:
        return None
    source = sources.of(optimizer.at)
    if source is None:
        return None
    made = _around(sources.of(optimizer.made_at), optimizer.made_at)
    around = [node for node in _around(source, optimizer.at) if node not in made]
    loops = [node for node in around if isinstance(node, ast.For | ast.AsyncFor | ast.While)]
    if loops:
        outermost = loops[-1]
        head = outermost.iter if isinstance(outermost, ast.For) else None
        count = None if head is None else _range_in(head)
        return None if count is None else _turns(source, count)
    return _told(source)


def shortened(texts: Mapping[str, str], turns: Turns, share: float) -> dict[str, str] | None:
    """A script's texts with fewer turns.

    Args:
        texts: Those of its files that are not as on disk.
        turns: Where its length stands.
        share: Of the turns; at least one is left.

    Returns:
        The texts; None where the file holds no such line any more.

    Example:
        >>> told = {"/a.py": "for epoch in range(n): step()"}
        >>> shortened(told, Turns("/a.py", "range(n)", 0), 0.25)["/a.py"]
        'for epoch in range(max(1, round((n) * 0.25))): step()'
    """
    source = Sources(texts).get(turns.path)
    if source is None:
        return None
    alike = [node for node in _lengths(source) if source.code(node) == turns.code]
    if len(alike) <= turns.nth:
        return None
    edit = _fewer(source, alike[turns.nth], share, fractions=turns.fractions)
    return None if edit is None else {**texts, source.path: edited(source.text, [edit])}


def _around(source: Source | None, place: Place | None) -> list[ast.AST]:
    """What a line stands in, and what the calls of the functions around it stand in, in order."""
    if source is None or place is None:
        return []
    found: list[ast.AST] = list(source.statements_at(place.line))
    seen: set[ast.AST] = set()
    for _ in range(MOST_CALLERS):
        function = next((n for n in found if _is_function(n) and n not in seen), None)
        if function is None:
            break
        seen.add(function)
        for call in source.calls(getattr(function, "name", "")):
            found += [node for node in source.ancestors(call) if node not in found]
    return found


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _range_in(head: ast.expr) -> ast.Call | None:
    """The ``range(stop)`` or ``range(start, stop)`` that a loop goes over, bare or wrapped."""
    for node in ast.walk(head):
        if (
            isinstance(node, ast.Call)
            and last_name(node.func) in RANGES
            and len(node.args) in (1, 2)
            and not any(isinstance(one, ast.Starred) for one in node.args)
        ):
            return node
    return None


def _told(source: Source) -> Turns | None:
    """What a trainer is given in the file that has it train."""
    for node in _lengths(source):
        if isinstance(node, ast.keyword):
            return _turns(source, node, fractions=LENGTHS[str(node.arg)])
    return None


def _turns(source: Source, node: ast.AST, *, fractions: bool = False) -> Turns:
    code = source.code(node)
    alike = [one for one in _lengths(source) if source.code(one) == code]
    return Turns(source.path, code, alike.index(node), fractions)


def _lengths(source: Source) -> Iterator[ast.AST]:
    """Ranges and trainers' arguments, in order."""
    for call in source.calls():
        if last_name(call.func) in RANGES:
            yield call
        for keyword in call.keywords:
            if keyword.arg in LENGTHS:
                yield keyword


def _fewer(source: Source, node: ast.AST, share: float, *, fractions: bool) -> Edit | None:
    if isinstance(node, ast.keyword):
        part = f"({source.code(node.value)}) * {share:g}"
        return source.replace(node.value, part if fractions else f"max(1, round({part}))")
    if not isinstance(node, ast.Call) or not node.args:
        return None
    last = source.code(node.args[-1])
    if len(node.args) == 1:
        return source.replace(node.args[-1], f"max(1, round(({last}) * {share:g}))")
    first = source.code(node.args[0])
    turns = f"max(1, round((({last}) - ({first})) * {share:g}))"
    return source.replace(node.args[-1], f"({first}) + {turns}")
