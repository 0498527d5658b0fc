"""What statements do to an array, and how they are taken out again."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glial.doctor.remedies.program.arrays import settings
from glial.doctor.remedies.program.source import Edit, Source, last_name
from glial.doctor.remedies.program.variables import Array, base_of, scope_of

DRAWS = ("randperm", "permutation", "shuffle", "shuffled", "sample", "permuted")
RANDOM = (
    *DRAWS,
    *("rand", "randn", "randint", "rand_like", "randn_like", "normal", "uniform", "choice"),
    *("integers", "random", "bernoulli", "standard_normal", "multinomial"),
)
DEPTH = 4


@dataclass(frozen=True)
class Write:
    """One thing that a statement does to an array, or to what the array is made of.

    Attributes:
        source: The file.
        statement: The statement.
        target: What it sets.
        value: What to.
        name: The array's own name, as it stands there.

    Example:
        >>> source = Source("a.py", "x = x / 255")
        >>> statement = source.tree.body[0]
        >>> Write(source, statement, statement.targets[0], statement.value, "x").uses_itself
        True
    """

    source: Source
    statement: ast.stmt
    target: ast.expr
    value: ast.expr
    name: str

    @property
    def partial(self) -> bool:
        """Whether only some of its values are set."""
        return isinstance(self.target, ast.Subscript)

    @property
    def uses_itself(self) -> bool:
        """Whether it makes the array of what it was before."""
        if self.partial or isinstance(self.statement, ast.AugAssign):
            return True
        return mentions(self.source, self.value, self.name)


def mentions(source: Source, node: ast.AST, name: str) -> bool:
    """Whether an expression holds a variable."""
    return any(
        source.code(one) == name
        for one in ast.walk(node)
        if isinstance(one, ast.Name | ast.Attribute)
    )


def alterations(array: Array, depth: int = DEPTH) -> list[Write]:
    r"""What was done to an array before it was used, the last first.

    What was done to the arrays that it was made of, in the same scope, comes after that.

    Example:
        >>> source = Source("a.py", "x = f()\nx = x * 9\nfit(x)")
        >>> array = Array(source, source.calls("fit")[0].args[0], source.tree)
        >>> [source.code(write.value) for write in alterations(array)]
        ['x * 9', 'f()']
    """
    return list(_alterations(array, depth, set()))


def _alterations(array: Array, depth: int, seen: set[str]) -> Iterator[Write]:
    if depth == 0 or array.name in seen:
        return
    seen.add(array.name)
    source = array.source
    above: list[Array] = []
    for statement in reversed(settings(array)):
        for target, value in _pairs(statement):
            if source.code(base_of(target)) == array.name:
                yield Write(source, statement, target, value, array.name)
                above += [
                    Array(source, node, array.scope)
                    for node in ast.walk(value)
                    if isinstance(node, ast.Name) and node.id != array.name
                ]
    for one in above:
        if one.name not in source.modules.values():
            yield from _alterations(one, depth - 1, seen)


def _pairs(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What a statement sets, one by one, and what to."""
    if isinstance(statement, ast.AugAssign | ast.AnnAssign):
        if statement.value is not None:
            yield statement.target, statement.value
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            values = (
                statement.value.elts
                if isinstance(statement.value, ast.Tuple | ast.List)
                and len(statement.value.elts) == len(parts)
                else [statement.value] * len(parts)
            )
            yield from zip(parts, values, strict=True)


def without(source: Source, wanted: Sequence[Write]) -> list[Edit]:
    r"""Edits that take writes out, with the variables that nothing else reads.

    Example:
        >>> source = Source("a.py", "p = randperm(9)\nx, y = x[p], y * 2\nfit(x, y)")
        >>> statement = source.tree.body[1]
        >>> write = Write(source, statement, *list(_pairs(statement))[0], "x")
        >>> from glial.doctor.remedies.program.source import edited
        >>> edited(source.text, without(source, [write]))
        'y = y * 2\nfit(x, y)'
    """
    edits: list[Edit] = []
    gone: list[ast.AST] = []
    for statement in dict.fromkeys(write.statement for write in wanted):
        pairs = list(_pairs(statement))
        out = [w.target for w in wanted if w.statement is statement]
        left = [pair for pair in pairs if pair[0] not in out]
        split = isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Tuple)
        if not left:
            edits.append(source.remove(statement))
            gone.append(statement)
        elif split:
            names = ", ".join(source.code(target) for target, _ in left)
            values = ", ".join(source.code(value) for _, value in left)
            edits.append(source.replace(statement, f"{names} = {values}"))
            gone += [value for target, value in pairs if target in out] + out
    edits += _unused(source, gone)
    return edits


def _unused(source: Source, gone: Sequence[ast.AST]) -> list[Edit]:
    """Edits that take out what only such code reads, as far as it is drawn or computed for it."""
    inside = {node for one in gone for node in ast.walk(one)}
    names = {node.id for node in inside if isinstance(node, ast.Name)}
    statements: list[ast.stmt] = []
    while True:
        found = [
            statement
            for name in sorted(names)
            for statement in source.assignments(name)
            if statement not in statements
            and statement not in inside
            and isinstance(statement, ast.Assign)
            and [source.code(t) for t in statement.targets] == [name]
            and not any(
                isinstance(node, ast.Name)
                and node.id == name
                and node not in inside
                and statement not in (node, *source.ancestors(node))
                for node in source.nodes
            )
        ]
        if not found:
            return [source.remove(statement) for statement in statements]
        for statement in found:
            statements.append(statement)
            inside |= set(ast.walk(statement))
            names |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


# -- numbers


def number(node: ast.AST) -> float | None:
    """The number that an expression spells out; None where it is no number.

    Example:
        >>> number(ast.parse("-2 * 3.0", mode="eval").body)
        -6.0
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = number(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.BinOp):
        left, right = number(node.left), number(node.right)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div) and right:
            return left / right
        if isinstance(node.op, ast.Pow) and abs(right) < 100 and left > 0:
            return float(left**right)
    return None


@dataclass(frozen=True)
class Factor:
    """A constant that values are multiplied by.

    Attributes:
        node: The product or quotient.
        kept: What is left without it.
        size: By how much; 1/16 of ``x / 16``.

    Example:
        >>> node = ast.parse("x / 16", mode="eval").body
        >>> [factor.size for factor in factors(node)]
        [0.0625]
    """

    node: ast.expr
    kept: ast.expr
    size: float


def factors(node: ast.AST) -> list[Factor]:
    """Constants that an expression's values are multiplied or divided by, the outer ones first."""
    found = []
    for one in ast.walk(node):
        if not isinstance(one, ast.BinOp) or number(one) is not None:
            continue
        left, right = number(one.left), number(one.right)
        if isinstance(one.op, ast.Mult) and right:
            found.append(Factor(one, one.left, right))
        elif isinstance(one.op, ast.Mult) and left:
            found.append(Factor(one, one.right, left))
        elif isinstance(one.op, ast.Div) and right:
            found.append(Factor(one, one.left, 1 / right))
    return [factor for factor in found if factor.size > 0]


def scale_of_write(write: Write) -> float | None:
    """The constant that a statement multiplies the whole array by; None where it does more."""
    statement, value = write.statement, write.value
    if isinstance(statement, ast.AugAssign):
        size = number(value)
        if size and isinstance(statement.op, ast.Mult):
            return size
        return 1 / size if size and isinstance(statement.op, ast.Div) else None
    size, target = 1.0, write.source.code(write.target)
    while True:
        if write.source.code(value) in (write.name, target):
            return size if size not in (0.0, 1.0) and math.isfinite(size) else None
        inner = next((f for f in factors(value) if f.node is value), None)
        if inner is None:
            return None
        size, value = size * inner.size, inner.kept


# -- kinds of writes


def calls_in(node: ast.AST, names: Sequence[str]) -> bool:
    """Whether an expression calls one of some functions.

    Example:
        >>> calls_in(ast.parse("x[torch.randperm(9)]"), DRAWS)
        True
    """
    return any(isinstance(one, ast.Call) and last_name(one.func) in names for one in ast.walk(node))


def is_random(write: Write, node: ast.AST, names: Sequence[str] = RANDOM) -> bool:
    """Whether an expression is drawn, itself or by the variables that it reads."""
    if calls_in(node, names):
        return True
    scope = scope_of(write.source, write.statement)
    for one in ast.walk(node):
        if not isinstance(one, ast.Name) or one.id == write.name:
            continue
        for made in write.source.assignments(one.id):
            near = scope_of(write.source, made) is scope and made.lineno < write.statement.lineno
            if near and any(
                calls_in(value, names)
                for target, value in _pairs(made)
                if write.source.code(target) == one.id
            ):
                return True
    return False


def partners(write: Write) -> list[tuple[ast.expr, ast.expr]]:
    """What the same statement does to other variables."""
    return [pair for pair in _pairs(write.statement) if pair[0] is not write.target]


def index_of(write: Write) -> str | None:
    """The index by which a statement picks rows of the array itself; None where it does not."""
    value = write.value
    own = isinstance(value, ast.Subscript) and write.source.code(value.value) == write.name
    if write.partial or not own or not isinstance(value, ast.Subscript):
        return None
    return write.source.code(value.slice)


def alike(write: Write, array: Array, others: Sequence[Array]) -> list[Write]:
    """Writes of other arrays that do the same as one does to an array."""
    return [
        one
        for other in others
        for one in alterations(other)
        if one.target is not write.target and like(one, write, other, array)
    ]


def like(one: Write, write: Write, other: Array, array: Array) -> bool:
    """Whether two writes say the same of two arrays."""
    if one.source is not write.source or type(one.statement) is not type(write.statement):
        return False
    here = f"{write.source.code(write.target)} = {write.source.code(write.value)}"
    there = f"{one.source.code(one.target)} = {one.source.code(one.value)}"
    return renamed(here, {array.name: "_"}) == renamed(there, {other.name: "_"})


def closed(source: Source, node: ast.expr) -> str:
    """An expression's text, in brackets where what is put beside it would tear it apart."""
    code = source.code(node)
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    return code if simple else f"({code})"


def renamed(text: str, names: dict[str, str]) -> str:
    """A text with some variables called otherwise.

    Example:
        >>> renamed("x = (x - x_mean) / 2", {"x": "z"})
        'z = (z - x_mean) / 2'
    """
    if not names:
        return text
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<![\w.])(?:{words})(?!\w)", lambda match: names[match.group()], text)
