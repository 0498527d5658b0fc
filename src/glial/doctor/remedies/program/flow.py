"""Where values come from: from a batch back to the arrays that it is cut from."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from glial.doctor.remedies.program.source import Source, last_name
from glial.doctor.remedies.program.variables import Array, Scope, scope_of, writes

Path = tuple[int, ...]

WRAPPERS = ("iter", "list", "tuple", "tqdm", "trange", "reversed", "cycle", "islice", "track")
LOADERS = ("DataLoader", "StatefulDataLoader", "DataLoaderX", "MultiEpochsDataLoader")
PARTS = ("split", "chunk", "unbind", "tensor_split", "array_split")
MOST = 40  # links of a chain that are followed


def _path_in(target: ast.expr, node: ast.expr, source: Source) -> Path | None:
    """Where in a target a name stands: ``(1, 0)`` for x in ``i, (x, y)``; () if it is all of it."""
    if isinstance(target, ast.Tuple | ast.List):
        for number, one in enumerate(target.elts):
            inner = _path_in(one, node, source)
            if inner is not None:
                return (number, *inner)
        return None
    return () if source.code(target) == source.code(node) else None


class Flow:
    r"""Follows values back through one file.

    Args:
        source: It.
        outer: Loops that go over no rows: what is set in them is an array.

    Example:
        >>> text = "a, b = load()\nfor x, y in DataLoader(TensorDataset(a, b)):\n    net(x.to(d))"
        >>> source = Source("a.py", text)
        >>> Flow(source).array(source.calls("net")[0].args[0]).name
        'a'
    """

    def __init__(self, source: Source, outer: Collection[ast.stmt] = ()) -> None:
        self.source = source
        self._outer = outer
        self._functions = {
            node.name: node
            for node in source.nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        self._classes = {n.name: n for n in source.nodes if isinstance(n, ast.ClassDef)}
        self._seen = 0

    def array(self, expression: ast.expr) -> Array | None:
        """The variable that holds all rows of which an expression gives some; None if unknown."""
        self._seen = 0
        return self._array(expression, ())

    # -- expressions

    def _array(self, node: ast.expr, path: Path) -> Array | None:
        self._seen += 1
        if self._seen > MOST:
            return None
        if isinstance(node, ast.Name | ast.Attribute):
            return self._named(node, path)
        if isinstance(node, ast.Subscript):
            return self._subscript(node, path)
        if isinstance(node, ast.Call):
            return self._called(node, path)
        if isinstance(node, ast.Tuple | ast.List):
            return self._array(node.elts[path[0]], path[1:]) if path else self._first(node.elts)
        if isinstance(node, ast.BinOp):
            return self._first([node.left, node.right])
        if isinstance(node, ast.Compare):
            return self._first([node.left, *node.comparators])
        if isinstance(node, ast.UnaryOp):
            return self._array(node.operand, path)
        if isinstance(node, ast.IfExp):
            return self._first([node.body, node.orelse])
        return None

    def _first(self, nodes: Sequence[ast.expr], path: Path = ()) -> Array | None:
        return next((a for node in nodes if (a := self._array(node, path)) is not None), None)

    def _subscript(self, node: ast.Subscript, path: Path) -> Array | None:
        part = node.slice
        if isinstance(part, ast.Constant) and isinstance(part.value, int):
            held = self._loop_of(node.value) if isinstance(node.value, ast.Name) else None
            if held is not None:  # batch[0]
                return self._rows_of(held.iter, (*self._place(held, node.value), part.value))
        return self._array(node.value, path)

    def _called(self, node: ast.Call, path: Path) -> Array | None:
        function = node.func
        if isinstance(function, ast.Name) and function.id in self._functions:
            inner = self._returned(self._functions[function.id], node, path)
            if inner is not None:
                return inner
        if isinstance(function, ast.Attribute) and not self._is_module(function.value):
            inner = self._array(function.value, ())
            if inner is not None:
                return inner
        return self._first([*node.args, *(k.value for k in node.keywords)])

    def _is_module(self, node: ast.expr) -> bool:
        return self.source.code(node).split(".")[0] in self.source.modules.values()

    def _returned(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call, path: Path
    ) -> Array | None:
        """What a function's answer is cut from, where that is one of its arguments."""
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                found = self._array(node.value, path)
                if found is not None and self._is_parameter(found.node, function):
                    given = self._argument(function, found.name, call)
                    return self._array(given, ()) if given is not None else None
        return None

    # -- names

    def _named(self, node: ast.expr, path: Path) -> Array | None:
        loop = self._loop_of(node)
        if loop is not None:
            return self._rows_of(loop.iter, (*self._place(loop, node), *path))
        scope = scope_of(self.source, node)
        if isinstance(node, ast.Name) and isinstance(scope, ast.FunctionDef):
            given = self._given(node, scope)
            if given is not None:
                return self._array(given, path)
        made = self._definition(node)
        if made is None:
            if isinstance(node, ast.Attribute):
                return self._attribute(node, path)
            known = isinstance(node, ast.Name) and self._is_variable(node, scope)
            return Array(self.source, node, self._home(node, scope)) if known else None
        value, inner = made
        within = self.source.loops_of(node)
        together = bool(within) and self.source.loops_of(value)[:1] == within[:1]
        together = together and within[0] not in self._outer
        if together or (not within and isinstance(scope, ast.FunctionDef)):
            found = self._array(value, (*inner, *path))
            if found is not None and (together or found.scope is not scope):
                return found
            if together:
                return None
        if isinstance(node, ast.Attribute) and self._constructed(node) is not None:
            return self._attribute(node, path)
        return Array(self.source, node, self._home(node, scope))

    def _home(self, node: ast.expr, scope: Scope) -> Scope:
        """The scope that a name belongs to: the file where a function only reads it."""
        name, tree = self.source.code(node), scope_of(self.source, self.source.tree)
        statement = self.source.statement(node)
        if scope is tree or writes(self.source, name, scope, statement):
            return scope
        if isinstance(scope, ast.FunctionDef) and self._is_parameter(node, scope):
            return scope
        return tree

    def _is_variable(self, node: ast.expr, scope: Scope) -> bool:
        name = self.source.code(node)
        if isinstance(scope, ast.FunctionDef) and self._is_parameter(node, scope):
            return True
        return name not in self.source.modules.values() and bool(self.source.assignments(name))

    def _is_parameter(
        self, node: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> bool:
        return self.source.code(node) in _parameters(function)

    def _loop_of(self, node: ast.expr) -> ast.For | None:
        """The loop around a name that sets it, unless it was set again since."""
        for loop in self.source.loops_of(node):
            if isinstance(loop, ast.For) and _path_in(loop.target, node, self.source) is not None:
                made = self._definition(node)
                if made is None or made[0].lineno < loop.lineno:
                    return loop
        return None

    def _place(self, loop: ast.For, node: ast.expr) -> Path:
        return _path_in(loop.target, node, self.source) or ()

    def _definition(self, node: ast.expr) -> tuple[ast.expr, Path] | None:
        """What a name was last set to before it is used, and which part of that it is."""
        name, scope = self.source.code(node), scope_of(self.source, node)
        statement = self.source.statement(node)
        last = None
        for one in writes(self.source, name, scope, statement):
            if isinstance(one, ast.Assign) and not self._apart(one, node):
                last = one
        if last is None:
            return None
        for target in last.targets:
            path = _path_in(target, node, self.source)
            if path is not None:
                value: ast.expr = last.value
                while path and isinstance(value, ast.Tuple | ast.List):
                    if path[0] >= len(value.elts):
                        return None
                    value, path = value.elts[path[0]], path[1:]
                return value, path
        return None

    def _apart(self, one: ast.stmt, node: ast.expr) -> bool:
        """Whether a statement stands in a loop that was over when a node is reached."""
        return not set(self.source.loops_of(one)) <= set(self.source.loops_of(node))

    def _given(
        self, node: ast.Name, function: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> ast.expr | None:
        """What a function's parameter is given where the function is called, if it is not reset."""
        if not self._is_parameter(node, function) or self._definition(node) is not None:
            return None
        for call in self._calls_of(function):
            given = self._argument(function, node.id, call)
            if given is not None and scope_of(self.source, given) is not function:
                return given
        return None

    def _calls_of(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.Call]:
        holder = self.source.parents.get(function)
        if isinstance(holder, ast.ClassDef) and function.name == "__init__":
            return self.source.calls(holder.name)
        return self.source.calls(function.name)

    def _argument(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str, call: ast.Call
    ) -> ast.expr | None:
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        names = _parameters(function)
        if isinstance(self.source.parents.get(function), ast.ClassDef):
            names = names[1:]
        number = names.index(name) if name in names else len(call.args)
        if number < len(call.args) and not isinstance(call.args[number], ast.Starred):
            return call.args[number]
        return None

    def _constructed(self, node: ast.Attribute) -> ast.expr | None:
        """What an attribute of a class of this file was set to by it."""
        holder = next((a for a in self.source.ancestors(node) if isinstance(a, ast.ClassDef)), None)
        code = self.source.code(node)
        for one in self.source.assignments(code):
            if isinstance(one, ast.Assign) and holder in list(self.source.ancestors(one)):
                for target in one.targets:
                    if _path_in(target, node, self.source) == ():
                        return one.value
        return None

    def _attribute(self, node: ast.Attribute, path: Path) -> Array | None:
        value = self._constructed(node)
        if value is None:
            return None
        found = self._array(value, path)
        scope = scope_of(self.source, value)
        if found is not None and found.scope is not scope:
            return found
        return Array(self.source, node, scope)

    # -- loops over data

    def _rows_of(self, node: ast.expr, path: Path) -> Array | None:
        """The array whose rows a loop over something gives, at a place of what it gives."""
        self._seen += 1
        if self._seen > MOST:
            return None
        if isinstance(node, ast.Name | ast.Attribute):
            given = self._behind(node)
            return self._array(node, path) if given is None else self._rows_of(given[0], path)
        if not isinstance(node, ast.Call):
            return self._array(node, path)
        name = last_name(node.func)
        if name == "enumerate" and node.args:
            return self._rows_of(node.args[0], path[1:]) if path[:1] != (0,) else None
        if name in WRAPPERS and node.args:
            return self._rows_of(node.args[0], path)
        if name == "zip" and path and path[0] < len(node.args):
            return self._rows_of(node.args[path[0]], path[1:])
        if name in LOADERS:
            data = self.source_of(node)
            return None if data is None else self._items_of(data, path)
        if name in PARTS and isinstance(node.func, ast.Attribute):
            whole = (
                node.args[0] if self._is_module(node.func.value) and node.args else node.func.value
            )
            return self._array(whole, ())
        return self._items_of(node, path)

    @staticmethod
    def source_of(call: ast.Call) -> ast.expr | None:
        """The data set that a loader is given."""
        given = [k.value for k in call.keywords if k.arg == "dataset"]
        return next(iter([*call.args[:1], *given]), None)

    def _behind(self, node: ast.expr) -> tuple[ast.expr, Path] | None:
        """What a name of a loader or a data set stands for."""
        made = self._definition(node)
        if made is not None:
            return made if isinstance(made[0], ast.Call) else None
        scope = scope_of(self.source, node)
        if isinstance(node, ast.Name) and isinstance(scope, ast.FunctionDef):
            given = self._given(node, scope)
            if given is not None:
                return given, ()
            above = [s for s in self.source.assignments(node.id) if isinstance(s, ast.Assign)]
            for one in above[-1:]:
                return (one.value, ()) if isinstance(one.value, ast.Call) else None
        if isinstance(node, ast.Attribute):
            value = self._constructed(node)
            return None if value is None else (value, ())
        return None

    def _items_of(self, node: ast.expr, path: Path) -> Array | None:
        """The array that a data set's rows come from, at a place of each row."""
        self._seen += 1
        if self._seen > MOST:
            return None
        if isinstance(node, ast.Name | ast.Attribute):
            made = self._behind(node)
            return self._array(node, path) if made is None else self._items_of(made[0], path)
        if not isinstance(node, ast.Call):
            return self._array(node, path)
        name = last_name(node.func)
        if name in ("TensorDataset", "zip"):
            number = path[0] if path else 0
            return self._array(node.args[number], path[1:]) if number < len(node.args) else None
        if name in ("random_split", "Subset", *WRAPPERS) and node.args:
            return self._items_of(node.args[0], path)
        if name in self._classes:
            return self._item_of(self._classes[name], node, path)
        return None

    def _item_of(self, kind: ast.ClassDef, call: ast.Call, path: Path) -> Array | None:
        """Likewise of a data set of this file, by what its ``__getitem__`` returns."""
        for node in ast.walk(kind):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                first = node
                break
        else:
            return None
        for node in ast.walk(kind):
            if not (isinstance(node, ast.FunctionDef) and node.name == "__getitem__"):
                continue
            for one in ast.walk(node):
                if isinstance(one, ast.Return) and one.value is not None:
                    value = one.value
                    if path and isinstance(value, ast.Tuple) and path[0] < len(value.elts):
                        value = value.elts[path[0]]
                    held = [n for n in ast.walk(value) if isinstance(n, ast.Attribute)]
                    for attribute in held:
                        made = self._constructed(attribute)
                        names = (
                            [n for n in ast.walk(made) if isinstance(n, ast.Name)] if made else []
                        )
                        for name in names:
                            given = self._argument(first, name.id, call)
                            if given is not None:
                                return self._array(given, ())
        return None


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    return [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
