"""The arrays of a training: what its inputs and targets are called, and where they are ready."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from glial.core.findings import Place
from glial.doctor.remedies.program.case import Case, Found
from glial.doctor.remedies.program.flow import Flow
from glial.doctor.remedies.program.source import Source, last_name
from glial.doctor.remedies.program.variables import Array, scope_of, writes


@dataclass(frozen=True)
class Arrays:
    """What a network is taught with and asked, as variables of the source.

    Args:
        case: The finding, the evidence and the source.

    Example:
        >>> from glial.core.findings import Finding
        >>> from glial.doctor.evidence import Evidence
        >>> case = Case(Finding("leakage", "note", None, {}, "It.", "Do."), Evidence())
        >>> Arrays(case).inputs is None, Arrays(case).asked
        (True, [])
    """

    case: Case

    # -- calls

    @cached_property
    def training_call(self) -> Found | None:
        """Where the network is called to learn."""
        model, loss = self.case.model, self.case.loss
        if model is None:
            return None
        if model.train_at is not None:
            called = self._network_calls(model.train_at)
            if called:
                return called[0]
        source = self.case.sources.of(loss.at if loss else model.at)
        if source is None:
            return None
        asked = {seen.at.line for seen in model.asked if seen.at is not None}
        near = [c for c in source.calls(model.name.rpartition(".")[2]) if c.lineno not in asked]
        line = loss.at.line if loss and loss.at else 0
        near.sort(key=lambda call: (not source.loops_of(call), abs(call.lineno - line)))
        return Found(source, near[0]) if near and near[0].args else None

    @cached_property
    def asking_calls(self) -> list[Found]:
        """Where it is called without learning."""
        model = self.case.model
        places = [seen.at for seen in model.asked] if model is not None else []
        places += [model.eval_at] if model is not None and not places else []
        found = [one for place in places for one in self._network_calls(place)]
        taught = self.training_call
        return [one for one in found if taught is None or one.node is not taught.node]

    def _network_calls(self, place: Place | None) -> list[Found]:
        """The calls of a network at a line: by its own name, or else one by a variable's."""
        model = self.case.model
        held = [
            one
            for one in self.case.calls(place)
            if isinstance(one.node, ast.Call) and (one.node.args or one.node.keywords)
        ]
        name = model.name.rpartition(".")[2] if model is not None else ""
        functions = [(one, one.node.func) for one in held if isinstance(one.node, ast.Call)]
        own = [one for one, function in functions if last_name(function) == name]
        if own:
            return own
        for one, function in functions:
            if isinstance(function, ast.Name) and _is_held(one.source, function):
                return [one]
            if isinstance(function, ast.Attribute) and one.source.code(function.value) == "self":
                return [one]
        return []

    # -- arrays

    @cached_property
    def inputs(self) -> Array | None:
        """What training inputs are cut from."""
        return self.array_of(self.training_call)

    @cached_property
    def asked(self) -> list[Array]:
        """What evaluation inputs are cut from; of each name one, the training's left out."""
        found: list[Array] = []
        for call in self.asking_calls:
            array = self.array_of(call)
            if array is not None and array.name not in [
                *(one.name for one in found),
                self.inputs.name if self.inputs else "",
            ]:
                found.append(array)
        return found

    @cached_property
    def targets(self) -> Array | None:
        """What training targets are cut from; None where these are the inputs themselves."""
        found = next(self._compared_with(), None)
        copied = found is not None and self.inputs is not None and found.name == self.inputs.name
        return None if copied else found

    @cached_property
    def copies_inputs(self) -> bool:
        """Whether what the loss is given as target is cut from the inputs themselves."""
        found = next(self._compared_with(), None)
        return found is not None and self.inputs is not None and found.name == self.inputs.name

    def _compared_with(self) -> Iterator[Array]:
        """Arrays that answers may be compared with, the likeliest first."""
        source = self.training_call.source if self.training_call is not None else None
        for node in self._target_candidates():
            array = Flow(source).array(node) if source is not None else None
            if array is not None and not _is_number(array):
                yield array

    def array_of(self, call: Found | None) -> Array | None:
        """What a call of the network is given rows of; None if that is unknown."""
        if call is None or not isinstance(call.node, ast.Call):
            return None
        taught = self.training_call
        asks = taught is not None and taught.node is not call.node
        outer = taught.source.loops_of(taught.node) if taught is not None and asks else ()
        flow = Flow(call.source, outer)
        given = [*call.node.args, *(k.value for k in call.node.keywords)]
        number = self._number_of_floats()
        given = [*given[number:], *given[:number]]
        return next((a for one in given if (a := flow.array(one)) is not None), None)

    def _number_of_floats(self) -> int:
        """Which of the network's tensors is the first of real numbers."""
        model = self.case.model
        seen = model.inputs.get("train", []) if model is not None else []
        return next((n for n, one in enumerate(seen) if "float" in one.dtype), 0)

    def _target_candidates(self) -> Iterator[ast.expr]:
        """Expressions that the loss is given beside the network's outputs, the likeliest first."""
        call, taught = self.case.loss_call, self.training_call
        if taught is None:
            return
        answers = self.answers(taught.source)
        if call is not None and isinstance(call.node, ast.Call) and call.source is taught.source:
            named = [k for k in call.node.keywords if k.arg in ("target", "targets", "labels")]
            for one in (*(k.value for k in named), *call.node.args):
                if not _depends(call.source, one, answers):
                    yield one
        found = self.case.loss_statement
        if found is None or found.source is not taught.source:
            return
        source = found.source
        called = {node.func for node in ast.walk(found.node) if isinstance(node, ast.Call)}
        inside = {*ast.walk(taught.node), *called}
        for node in ast.walk(found.node):
            read = isinstance(getattr(node, "ctx", None), ast.Load) and node not in inside
            held = read and isinstance(node, ast.Subscript | ast.Name)
            if held and isinstance(node, ast.expr) and not _depends(source, node, answers):
                yield node

    def answers(self, source: Source) -> set[str]:
        """How what the network gave in training is written in a file: its call, and variables."""
        call = self.training_call
        if call is None or call.source is not source:
            return set()
        held = {source.code(call.node)}
        statement = source.statement(call.node)
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                parts = target.elts if isinstance(target, ast.Tuple) else [target]
                held |= {source.code(part) for part in parts}
        return held

    # -- where arrays are ready

    def ready(self, arrays: Sequence[Array]) -> tuple[Source, ast.stmt] | None:
        """The last statement that sets any of some arrays, where all stand in one block.

        Args:
            arrays: Of one scope; what is computed from them comes later.
        """
        if not arrays:
            return None
        source, scope = arrays[0].source, arrays[0].scope
        if any(one.source is not source or one.scope is not scope for one in arrays):
            return None
        held = [statement for one in arrays for statement in settings(one)]
        if not held:
            return None
        last = max(held, key=lambda statement: statement.lineno)
        own = [settings(one) for one in arrays]
        if any(not one for one in own):
            return None
        block = source.parents[last]
        if any(source.parents[one[-1]] is not block for one in own):
            return None
        return source, last


def _depends(source: Source, node: ast.AST, answers: set[str], depth: int = 4) -> bool:
    """Whether an expression is computed from a network's answers."""
    for one in ast.walk(node):
        if not isinstance(one, ast.Name | ast.Attribute | ast.Call):
            continue
        if source.code(one) in answers:
            return True
        if isinstance(one, ast.Name) and depth:
            function = source.function_of(one)
            for made in source.assignments(one.id):
                value = getattr(made, "value", None)
                near = source.function_of(made) is function and made.lineno < one.lineno
                if near and value is not None and _depends(source, value, answers, depth - 1):
                    return True
    return False


def _is_number(array: Array) -> bool:
    """Whether a variable is one number, as a margin is."""
    return any(
        isinstance(one, ast.Assign)
        and isinstance(one.value, ast.Constant)
        and [array.source.code(target) for target in one.targets] == [array.name]
        for one in settings(array)
    )


def settings(array: Array) -> list[ast.stmt]:
    """All statements that set an array, or a part of it, before it is first trained with."""
    source, scope = array.source, array.scope
    before = source.statement(array.node)
    if scope_of(source, array.node) is not scope:  # a function reads what the file holds
        before = max((n for n in source.nodes if isinstance(n, ast.stmt)), key=lambda n: n.lineno)
    return writes(source, array.name, scope, before)


def _is_held(source: Source, function: ast.Name) -> bool:
    """Whether a name is a variable's or a parameter's, and no function's or class's."""
    if function.id in source.modules.values():
        return False
    made = {
        node.name
        for node in source.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    return function.id not in made and function.id not in dir(__builtins__)


def fresh(source: Source, *names: str) -> list[str]:
    """Names that the file does not hold yet, as near to some as can be."""
    taken = {node.id for node in source.nodes if isinstance(node, ast.Name)}
    taken |= {node.arg for node in source.nodes if isinstance(node, ast.arg)}
    found: list[str] = []
    for name in names:
        free, number = name, 2
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        taken.add(free)
        found.append(free)
    return found
