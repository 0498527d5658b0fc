"""One file of Python as text that can be edited: found by its syntax, changed by position."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, order=True)
class Edit:
    """Characters ``start`` to ``end`` give way to a text.

    Example:
        >>> edited("lr = 1", [Edit(5, 6, "0.1")])
        'lr = 0.1'
    """

    start: int
    end: int
    text: str


def edited(text: str, edits: Sequence[Edit]) -> str:
    """A text with edits, none of which may reach into another.

    Raises:
        ValueError: If two do.

    Example:
        >>> edited("a b", [Edit(2, 3, "c"), Edit(0, 0, "# ")])
        '# a c'
    """
    parts: list[str] = []
    here = 0
    for edit in sorted(dict.fromkeys(edits)):
        if edit.start < here:
            raise ValueError("two edits change the same characters")
        parts += [text[here : edit.start], edit.text]
        here = edit.end
    return "".join([*parts, text[here:]])


def last_name(node: ast.AST | None) -> str:
    """The last part of a dotted name: ``Adam`` of ``torch.optim.Adam``; "" where there is none.

    Example:
        >>> last_name(ast.parse("torch.optim.Adam", mode="eval").body)
        'Adam'
    """
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class Source:
    r"""A file's text and syntax tree, and the edits that somebody would make by hand.

    Args:
        path: The file.
        text: What it holds, or is to be taken to hold.

    Raises:
        SyntaxError: If it is not Python.

    Example:
        >>> source = Source("train.py", "x = f(1)\nif x: y = 2\n")
        >>> call, = source.calls("f")
        >>> source.code(call), edited(source.text, [source.after(source.statement(call), "g()")])
        ('f(1)', 'x = f(1)\ng()\nif x: y = 2\n')
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.tree = ast.parse(text)
        self.nodes = list(ast.walk(self.tree))
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self.newline = "\r\n" if "\r\n" in text else "\n"

    # -- places

    def position(self, line: int, column: int) -> int:
        """The character at a line, from 1, and a column in bytes, as syntax trees count."""
        before = self._lines[line - 1].encode()[:column].decode(errors="ignore")
        return self._starts[line - 1] + len(before)

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The first character of a node, and the one after its last."""
        if not isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.arg | ast.alias):
            raise TypeError(f"{type(node).__name__} has no place in the text")
        end_line, end_column = node.end_lineno, node.end_col_offset
        if end_line is None or end_column is None:
            raise TypeError("the tree was not parsed from a text")
        return self.position(node.lineno, node.col_offset), self.position(end_line, end_column)

    def code(self, node: ast.AST) -> str:
        """A node's own text."""
        start, end = self.span(node)
        return self.text[start:end]

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """A node's parent, its parent, and so on."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that holds a node; itself where it is one."""
        if isinstance(node, ast.stmt):
            return node
        return next(above for above in self.ancestors(node) if isinstance(above, ast.stmt))

    def statements_at(self, line: int) -> list[ast.stmt]:
        """The statements that hold a line, the innermost first."""
        found = [
            node
            for node in self.nodes
            if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
        ]
        return sorted(found, key=lambda s: ((s.end_lineno or 0) - s.lineno, -s.col_offset))

    def calls(self, *names: str) -> list[ast.Call]:
        """Calls of functions or classes by the last part of their name, in order; all without."""
        found = [
            node
            for node in self.nodes
            if isinstance(node, ast.Call) and (not names or last_name(node.func) in names)
        ]
        return sorted(found, key=lambda call: (call.lineno, call.col_offset))

    def calls_at(self, line: int, *names: str) -> list[ast.Call]:
        """Those of them that hold a line, the innermost first."""
        found = [c for c in self.calls(*names) if c.lineno <= line <= (c.end_lineno or 0)]
        return sorted(found, key=lambda c: ((c.end_lineno or 0) - c.lineno, -c.col_offset))

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The statements that one stands among, itself too."""
        fields = ast.iter_fields(self.parents[statement])
        return next(
            [one for one in value if isinstance(one, ast.stmt)]
            for _, value in fields
            if isinstance(value, list) and statement in value
        )

    def lines(self, statement: ast.stmt) -> str:
        """A statement's text, to be put elsewhere: further lines lose its margin."""
        margin = self.text[self._starts[statement.lineno - 1] : self.span(statement)[0]]
        first, *rest = self.code(statement).splitlines()
        return "\n".join([first, *(line.removeprefix(margin) for line in rest)])

    def index(self, node: ast.AST) -> int | None:
        """Which of the arguments of a call, or of the items of a list, it is; None if of none."""
        parent = self.parents.get(node)
        items = parent.args if isinstance(parent, ast.Call) else getattr(parent, "elts", [])
        before = (
            items[: items.index(node)] if isinstance(node, ast.expr) and node in items else None
        )
        if before is None or any(isinstance(one, ast.Starred) for one in before):
            return None
        return len(before)

    def function_of(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function around a node; None at the top."""
        kinds = ast.FunctionDef | ast.AsyncFunctionDef
        return next((above for above in self.ancestors(node) if isinstance(above, kinds)), None)

    def loops_of(self, node: ast.AST) -> list[ast.For | ast.While]:
        """The loops around a node, the innermost first."""
        return [above for above in self.ancestors(node) if isinstance(above, ast.For | ast.While)]

    def assignments(self, name: str) -> list[ast.stmt]:
        """Statements that assign a variable or an attribute, as it is written, in order."""
        found = []
        for node in self.nodes:
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = [
                    one
                    for target in node.targets
                    for one in (target.elts if isinstance(target, ast.Tuple) else [target])
                ]
            elif isinstance(node, ast.AnnAssign | ast.AugAssign):
                targets = [node.target]
            if isinstance(node, ast.stmt) and any(self.code(t) == name for t in targets):
                found.append(node)
        return sorted(found, key=lambda node: (node.lineno, node.col_offset))

    def spelled(self, name: str, near: ast.AST) -> str | None:
        """How something that is called ``net`` or ``self.net`` is written in a function."""
        around = self.function_of(near) or self.tree
        written = {
            self.code(n) for n in ast.walk(around) if isinstance(n, ast.Name | ast.Attribute)
        }
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            written |= {a.arg for a in (*around.args.args, *around.args.kwonlyargs)}
        return next((one for one in (name, f"self.{name}") if one in written), None)

    # -- edits

    def replace(self, node: ast.AST, text: str) -> Edit:
        """A node's text gives way to another."""
        return Edit(*self.span(node), text)

    def wrap(self, node: ast.AST, template: str) -> Edit:
        """A node's text is put into a template, at ``{}``."""
        return self.replace(node, template.replace("{}", self.code(node)))

    def bare(self, node: ast.AST, text: str) -> Edit:
        """A node gives way to a text, and so do brackets that only held it together."""
        start, end = self.span(node)
        held = self.text[start - 1 : start] == "(" and self.text[end : end + 1] == ")"
        plain = text.isidentifier() or re.fullmatch(r"[\w.]+(\([^()]*\))?", text)
        called = held and re.search(r"[\w\])]$", self.text[: start - 1])
        if held and plain and not called:
            return Edit(start - 1, end + 1, text)
        return Edit(start, end, text)

    def argument(self, call: ast.Call, name: str, text: str, position: int | None = None) -> Edit:
        """An argument of a call is set, whether it was given or not.

        Args:
            call: It.
            name: The argument's.
            text: Its new value.
            position: Where it stands if it is not given by name.
        """
        given = next((k for k in call.keywords if k.arg == name), None)
        if given is not None:
            return self.replace(given.value, text)
        if position is not None and len(call.args) > position:
            return self.replace(call.args[position], text)
        inside = [*call.args, *call.keywords]
        if inside:
            end = max(self.span(one)[1] for one in inside)
            return Edit(end, end, f", {name}={text}")
        end = self.span(call)[1] - 1
        return Edit(end, end, f"{name}={text}")

    def without_argument(self, call: ast.Call, name: str) -> Edit | None:
        """An argument that is given by name is left out; None where it is not given."""
        given = next((k for k in call.keywords if k.arg == name), None)
        if given is None:
            return None
        return self.without(given)

    def without(self, node: ast.AST) -> Edit:
        """One of several things that commas part is left out."""
        start, end = self.span(node)
        after = re.match(r"\s*,[ \t]*", self.text[end:])
        behind = end + (after.end() if after else 0)
        line = self.text.rfind("\n", 0, start) + 1
        rest = re.match(r"[ \t]*(#.*)?\r?\n", self.text[behind:])
        if rest and line and not self.text[line:start].strip():
            return Edit(line, behind + rest.end(), "")
        if after and not rest:
            return Edit(start, behind, "")
        before = re.search(r",\s*$", self.text[:start])
        return Edit(before.start() if before else start, end, "")

    def unwrap(self, call: ast.Call) -> Edit | None:
        """A call gives way to what it is given: ``relu(x)`` and ``x.relu()`` both to ``x``."""
        given = self.operand(call)
        if given is None:
            return None
        loose = ast.BinOp | ast.UnaryOp | ast.BoolOp | ast.Compare | ast.IfExp | ast.Lambda
        parent = self.parents.get(call)
        binds = isinstance(parent, ast.Attribute | ast.BinOp | ast.UnaryOp | ast.Compare)
        binds = binds or (isinstance(parent, ast.Subscript) and parent.value is call)
        bare = isinstance(given, loose) and binds
        return self.replace(call, f"({self.code(given)})" if bare else self.code(given))

    def operand(self, call: ast.Call) -> ast.expr | None:
        """What a call is given first: ``x`` of ``relu(x)``, and of ``x.relu()``."""
        first = call.args[0] if call.args else None
        if isinstance(call.func, ast.Attribute):
            owner = call.func.value
            root = self.code(owner)
            named = root in self.modules.values() or root.partition(".")[0] in ("torch", "self")
            named = named and isinstance(owner, ast.Name | ast.Attribute)
            number = isinstance(first, ast.Constant | ast.UnaryOp)
            if first is None or (number and not named):
                return owner
        return None if isinstance(first, ast.Starred) else first

    def before(self, statement: ast.stmt, text: str) -> Edit:
        """New lines before a statement, indented as it is."""
        start = self.span(statement)[0]
        if self._begins_line(statement):
            line = self._starts[statement.lineno - 1]
            return Edit(line, line, self._block(statement, text))
        return Edit(start, start, f"{self._inline(text)}; ")

    def after(self, statement: ast.stmt, text: str) -> Edit:
        """New lines after a statement, indented as it is."""
        end = self.span(statement)[1]
        rest = self.text[end:].split("\n", 1)[0]
        shared = not self._begins_line(statement) or rest.strip().startswith(";")
        if shared and not isinstance(statement, ast.For | ast.While | ast.If | ast.With):
            return Edit(end, end, f"; {self._inline(text)}")
        line = self._starts[statement.end_lineno or statement.lineno]
        if line > len(self.text):
            return Edit(len(self.text), len(self.text), "\n" + self._block(statement, text))
        return Edit(line, line, self._block(statement, text))

    def remove(self, statement: ast.stmt) -> Edit:
        """A statement is taken out; ``pass`` stays where its block would be empty."""
        start, end = self.span(statement)
        if len(self.block(statement)) == 1:
            return Edit(start, end, "pass")
        rest = self.text[end:].split("\n", 1)[0]
        if self._begins_line(statement) and (not rest.strip() or rest.lstrip().startswith("#")):
            last = self._starts[statement.end_lineno or statement.lineno]
            return Edit(self._starts[statement.lineno - 1], min(last, len(self.text)), "")
        after = re.match(r"[ \t]*;[ \t]*", self.text[end:])
        if after:
            return Edit(start, end + after.end(), "")
        before = re.search(r";[ \t]*$", self.text[:start])
        return Edit(before.start() if before else start, end, "")

    def unblock(self, statement: ast.With) -> Edit:
        """A block gives way to what stands in it."""
        first = statement.body[0]
        deeper = first.col_offset - statement.col_offset
        start, end = self.span(statement)
        if first.lineno == statement.lineno:
            return Edit(start, end, self.text[self.span(first)[0] : end])
        lines = self.text[self._starts[first.lineno - 1] : end].split("\n")
        return Edit(self._starts[statement.lineno - 1], end, "\n".join(x[deeper:] for x in lines))

    def _begins_line(self, statement: ast.stmt) -> bool:
        line = self._starts[statement.lineno - 1]
        return not self.text[line : self.span(statement)[0]].strip()

    def _block(self, statement: ast.stmt, text: str) -> str:
        line = self._starts[statement.lineno - 1]
        margin = self.text[line : self.span(statement)[0]]
        return "".join(f"{margin}{one}{self.newline}" for one in text.splitlines())

    @staticmethod
    def _inline(text: str) -> str:
        return "; ".join(text.splitlines())

    # -- names of modules

    @cached_property
    def modules(self) -> dict[str, str]:
        """What modules are called at the top of the file: ``{"torch.nn": "nn"}``."""
        named: dict[str, str] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Import):
                for one in node.names:
                    top = one.name.partition(".")[0]
                    named[one.name if one.asname else top] = one.asname or top
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for one in node.names:
                    named[f"{node.module}.{one.name}"] = one.asname or one.name
        return named

    def refer(self, path: str) -> tuple[str, list[Edit]]:
        """How a module or what stands in one is written here, and the import it needs if any.

        Args:
            path: ``torch.nn.functional.cross_entropy``, by its full name.

        Example:
            >>> Source("a.py", "from torch import nn").refer("torch.nn.ReLU")
            ('nn.ReLU', [])
        """
        known, rest = path, ""
        while known:
            if known in self.modules:
                return self.modules[known] + rest, []
            known, _, last = known.rpartition(".")
            rest = f".{last}{rest}"
        top = path.partition(".")[0]
        return path, [self._import(f"import {top}")]

    def _import(self, text: str) -> Edit:
        body = self.tree.body
        future = [n for n in body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
        docstring = [
            n for n in body[:1] if isinstance(n, ast.Expr) and ast.get_docstring(self.tree)
        ]
        imports = [n for n in body if isinstance(n, ast.Import | ast.ImportFrom)]
        first = next((n for n in imports if n not in future), None)
        if first is not None:
            return self.before(first, text)
        above = (future or docstring)[-1:]
        return self.after(above[0], text) if above else Edit(0, 0, text + self.newline)
