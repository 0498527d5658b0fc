"""Numbers of a program: where the one that was seen in use is written down, and how to set it."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.source import Edit, Source, last_name

EXACT = 1e-6
_OPTIONS = ("add_argument", "option", "Option", "DEFINE_float", "DEFINE_integer")
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def value_of(node: ast.AST | None) -> float | None:
    """The number that an expression of literals stands for; None of any other.

    Example:
        >>> value_of(ast.parse("4 * 1e-3", mode="eval").body), value_of(ast.Name("lr"))
        (0.004, None)
    """
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            return None
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = value_of(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _computed(node.op, value_of(node.left), value_of(node.right))
    return None


def _computed(operator: ast.operator, left: float | None, right: float | None) -> float | None:
    if left is not None and right is not None:
        try:
            return float(_OPERATORS[type(operator)](left, right))
        except (ArithmeticError, TypeError):
            return None
    return None


def tidy(value: float) -> float:
    """A number near a positive one, as people choose them: 1, 2, 3 or 5 times a power of ten.

    Example:
        >>> tidy(0.00234), tidy(870), tidy(8.9)
        (0.002, 1000.0, 10.0)
    """
    power = math.floor(math.log10(value))
    near = [digit * 10.0**power for digit in (1, 2, 3, 5, 10)]
    return float(f"{min(near, key=lambda one: abs(math.log(one / value))):.3g}")


def written(value: float) -> str:
    """A number as people write it.

    Example:
        >>> written(0.001), written(1e-05), written(32.0)
        ('0.001', '1e-5', '32')
    """
    if value and not 1e-3 <= abs(value) < 1e6:
        digits, _, power = f"{value:.11e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    return f"{value:.12g}"


def labels(source: Source) -> Iterator[tuple[str, ast.expr]]:
    r"""Numbers that have a name: variables, defaults, arguments, options and keys, in order.

    Example:
        >>> source = Source("a.py", "lr = 0.1\np.add_argument('--batch-size', default=8)")
        >>> sorted(name for name, node in labels(source) if value_of(node) is not None)
        ['batch_size', 'default', 'lr']
    """
    for node in source.nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _assigned(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield last_name(node.target), node.value
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg, node.value
        elif isinstance(node, ast.arguments):
            given = [*node.posonlyargs, *node.args]
            with_default = given[len(given) - len(node.defaults) :]
            both = [*zip(with_default, node.defaults, strict=True)]
            both += [
                (one, default)
                for one, default in zip(node.kwonlyargs, node.kw_defaults, strict=True)
                if default is not None
            ]
            yield from ((one.arg, default) for one, default in both)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield _as_name(key.value), value
        if isinstance(node, ast.Call) and last_name(node.func) in _OPTIONS:
            default = next((k.value for k in node.keywords if k.arg == "default"), None)
            for argument in node.args if default is not None else ():
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield _as_name(argument.value), default or argument


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        if len(target.elts) == len(value.elts):
            for one, given in zip(target.elts, value.elts, strict=True):
                yield from _assigned(one, given)
    else:
        yield _key(target), value


def _as_name(text: str) -> str:
    return text.lstrip("-").replace("-", "_")


def _key(node: ast.expr) -> str:
    """What a number is called where it is used: ``lr`` of ``args.lr`` and of ``config["lr"]``."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return _as_name(str(node.slice.value))
    return last_name(node)


@dataclass(frozen=True)
class Number:
    """A number of a program.

    Attributes:
        source: The file in which it is written.
        node: The literal, or the expression that gives it where that is not known.
        value: What it was when the program ran.

    Example:
        >>> source = Source("a.py", "f(lr=args.rate)")
        >>> number = Number(source, source.calls("f")[0].keywords[0].value, 0.1)
        >>> number.to(0.01).text
        'args.rate / 10'
    """

    source: Source
    node: ast.expr
    value: float

    def to(self, value: float) -> Edit:
        """It becomes another: a literal is replaced, an expression multiplied."""
        if value_of(self.node) is not None or not self.value:
            return self.source.replace(self.node, written(value))
        code = self.source.code(self.node)
        if not isinstance(self.node, ast.Name | ast.Attribute | ast.Subscript | ast.Call):
            code = f"({code})"
        factor = value / self.value
        text = f"* {written(tidy(factor))}" if factor >= 1 else f"/ {written(tidy(1 / factor))}"
        return self.source.replace(self.node, f"{code} {text}")


def number_behind(case: Case, source: Source, node: ast.expr, value: float) -> Number:
    """Where the number is written down that an expression gave.

    Args:
        case: Whose files are looked through.
        source: The file of the expression.
        node: The expression.
        value: What it was seen to give.

    Returns:
        The one literal of that name and value, else the expression itself.
    """
    if value_of(node) is None and (name := _key(node)):
        found = list(named_numbers(case, (name,), value, first=source))
        if len(found) == 1:
            return found[0]
    return Number(source, node, value)


def named_numbers(
    case: Case,
    names: Iterable[str],
    value: float,
    *,
    first: Source | None = None,
    within: float = EXACT,
) -> Iterator[Number]:
    """The literals of a value that are called by one of some names, in the program's files."""
    wanted = {*names}
    files = [first] if first is not None else []
    for source in [*files, *(one for one in case.files if one is not first)]:
        for name, node in labels(source):
            held = value_of(node)
            if name in wanted and held is not None and _near(held, value, within):
                yield Number(source, node, value)


def _near(one: float, other: float, within: float) -> bool:
    return math.isclose(one, other, rel_tol=within, abs_tol=0.0)
