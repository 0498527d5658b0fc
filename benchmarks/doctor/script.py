"""A training script as text that can be edited: found by its syntax, changed by position."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

LAYERS = ("Linear", "Conv1d", "Conv2d", "ConvTranspose2d", "Embedding", "GRU", "LSTM")
OPTIMIZERS = {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS", "NAdam", "Adamax", "RAdam"}
LOSSES = {
    "cross_entropy": "cross_entropy",
    "CrossEntropyLoss": "cross_entropy",
    "binary_cross_entropy_with_logits": "binary",
    "BCEWithLogitsLoss": "binary",
    "mse_loss": "mse",
    "MSELoss": "mse",
    "l1_loss": "l1",
    "L1Loss": "l1",
    "smooth_l1_loss": "huber",
    "SmoothL1Loss": "huber",
    "huber_loss": "huber",
    "HuberLoss": "huber",
    "nll_loss": "nll",
    "NLLLoss": "nll",
    "poisson_nll_loss": "poisson",
    "PoissonNLLLoss": "poisson",
}
EPOCH_NAMES = {"epoch", "ep", "e", "step", "it", "iteration", "episode", "sweep"}
EPOCH_KEYWORDS = {"max_epochs", "num_train_epochs", "max_steps"}


@dataclass(frozen=True)
class Edit:
    """Characters ``start`` to ``end`` give way to a text."""

    start: int
    end: int
    text: str


@dataclass
class Fault:
    """Edits that plant one fault, and the places that are right to name for it.

    Attributes:
        edits: What is changed.
        near: Nodes of the healthy script whose lines are right to name too.
        layers: Names of layers that are right to name.
        placed: Whether the fault has a place at all.
    """

    edits: list[Edit]
    near: list[ast.AST] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    placed: bool = True


@dataclass(frozen=True)
class Planted:
    """A faulty script, and the lines and layers that are right to name."""

    text: str
    lines: list[int]
    layers: list[str]


def name_of(node: ast.AST) -> str:
    """The last part of a dotted name: ``Adam`` of ``torch.optim.Adam``; "" where there is none."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class Script:
    """One script's text and syntax tree, and what operators look for in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.nodes = list(ast.walk(self.tree))
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        lines = text.splitlines(keepends=True)
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The first character of a node and the one after its last."""
        assert isinstance(node, ast.expr | ast.stmt | ast.keyword)  # noqa: S101
        assert node.end_lineno is not None and node.end_col_offset is not None  # noqa: S101, PT018
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

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
        """The innermost statement that holds a node."""
        found = node if isinstance(node, ast.stmt) else None
        return found or next(a for a in self.ancestors(node) if isinstance(a, ast.stmt))

    def calls(self, *names: str) -> list[ast.Call]:
        """Calls of functions or classes, by the last part of their name, in order."""
        found = [
            node
            for node in self.nodes
            if isinstance(node, ast.Call) and name_of(node.func) in names
        ]
        return sorted(found, key=lambda call: (call.lineno, call.col_offset))

    # -- edits

    def replace(self, node: ast.AST, text: str) -> Edit:
        """A node's text gives way to another."""
        return Edit(*self.span(node), text)

    def wrap(self, node: ast.AST, template: str) -> Edit:
        """A node's text is put into a template, at ``{}``."""
        return self.replace(node, template.format(self.code(node)))

    def _indented(self, statement: ast.stmt, text: str) -> str:
        margin = " " * statement.col_offset
        return "".join(f"{margin}{line}\n" for line in text.splitlines())

    def before(self, statement: ast.stmt, text: str) -> Edit:
        """New lines before a statement."""
        start = self._starts[statement.lineno - 1]
        return Edit(start, start, self._indented(statement, text))

    def after(self, statement: ast.stmt, text: str) -> Edit:
        """New lines after a statement."""
        assert statement.end_lineno is not None  # noqa: S101
        start = self._starts[statement.end_lineno]
        missing = "" if self.text[:start].endswith("\n") else "\n"
        return Edit(start, start, missing + self._indented(statement, text))

    def remove(self, statement: ast.stmt) -> Edit:
        """A statement's lines are taken out; ``pass`` stays where its block would be empty."""
        parent = self.parents[statement]
        block = next(
            b for b in ast.iter_fields(parent) if isinstance(b[1], list) and statement in b[1]
        )
        if len(block[1]) == 1:
            return self.replace(statement, "pass")
        assert statement.end_lineno is not None  # noqa: S101
        return Edit(self._starts[statement.lineno - 1], self._starts[statement.end_lineno], "")

    def swap(self, one: ast.stmt, other: ast.stmt) -> list[Edit]:
        """Two statements change places."""
        return [self.replace(one, self.code(other)), self.replace(other, self.code(one))]

    def plant(self, fault: Fault) -> Planted:
        """The script with a fault, and the places to name."""
        text, lines = [], set()
        here = 0
        edits = sorted(fault.edits, key=lambda e: (e.start, e.end))

        def line() -> int:
            return "".join(text).count("\n") + 1

        for edit in edits:
            text.append(self.text[here : edit.start])
            first = line()
            text.append(edit.text)
            # Where something was taken out, the line that now stands there tells the place.
            lines.update(range(first, line() + (not edit.text.endswith("\n"))))
            here = edit.end
        text.append(self.text[here:])

        def moved(number: int) -> int:
            start = self._starts[number - 1]
            done = [e for e in edits if e.end <= start]
            old = sum(self.text[e.start : e.end].count("\n") for e in done)
            return number + sum(e.text.count("\n") for e in done) - old

        for node in fault.near:
            assert isinstance(node, ast.expr | ast.stmt) and node.end_lineno  # noqa: S101, PT018
            lines.update(moved(n) for n in range(node.lineno, node.end_lineno + 1))
        return Planted("".join(text), sorted(lines) if fault.placed else [], fault.layers)

    # -- what training scripts are made of

    @cached_property
    def optimizers(self) -> list[ast.Call]:
        """Where optimisers are made."""
        return self.calls(*OPTIMIZERS)

    @cached_property
    def optimizer_names(self) -> list[str]:
        """The variables that hold them."""
        names = []
        for call in self.optimizers:
            parent = self.statement(call)
            if isinstance(parent, ast.Assign):
                names.append(self.code(parent.targets[0]))
        return names

    @cached_property
    def networks(self) -> list[str]:
        """Code of the networks whose parameters the optimisers hold."""
        names = []
        for call in self.calls("parameters"):
            if isinstance(call.func, ast.Attribute):
                holder = self.code(call.func.value)
                if any(call in ast.walk(made) for made in self.optimizers) and holder not in names:
                    names.append(holder)
        return names

    @cached_property
    def rates(self) -> list[ast.expr]:
        """The learning rates that somebody wrote down."""
        found = []
        for call in self.optimizers:
            given = [k.value for k in call.keywords if k.arg == "lr"]
            found.extend(given or call.args[1:2])
        for call in self.calls("NeuralNetClassifier", "NeuralNetRegressor", "TrainingArguments"):
            found.extend(k.value for k in call.keywords if k.arg in ("lr", "learning_rate"))
        for call in self.calls("OneCycleLR"):
            found.extend(k.value for k in call.keywords if k.arg == "max_lr")
        return found

    @cached_property
    def epochs(self) -> list[ast.expr]:
        """The numbers that say how long training lasts."""
        found = []
        for node in self.nodes:
            if isinstance(node, ast.For) and isinstance(node.iter, ast.Call):
                counted = name_of(node.iter.func) == "range" and len(node.iter.args) == 1
                if counted and name_of(node.target) in EPOCH_NAMES:
                    found.append(node.iter.args[0])
            elif isinstance(node, ast.keyword) and node.arg in EPOCH_KEYWORDS:
                found.append(node.value)
        return found

    def methods(self, attribute: str, holders: list[str] | None = None) -> list[ast.Expr]:
        """Statements that only call a method: ``optimizer.step()``; of these holders or of any."""
        found = []
        for node in self.nodes:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                called = node.value.func
                if isinstance(called, ast.Attribute) and called.attr == attribute:
                    holder = self.code(called.value)
                    if holders is None or holder in holders:
                        found.append(node)
        return sorted(found, key=lambda node: node.lineno)

    @cached_property
    def backwards(self) -> list[ast.Expr]:
        """Statements that take gradients."""
        return self.methods("backward")

    @cached_property
    def steps(self) -> list[ast.Expr]:
        """Statements that step an optimiser."""
        return self.methods("step", self.optimizer_names)

    @cached_property
    def losses(self) -> list[tuple[str, ast.Call]]:
        """Calls of a loss in training: its kind, and the call."""
        made = {}
        for call in self.calls(*LOSSES):
            parent = self.parents[call]
            if isinstance(parent, ast.Assign) and not call.args:
                made[self.code(parent.targets[0])] = LOSSES[name_of(call.func)]
        found = []
        for node in self.nodes:
            if not isinstance(node, ast.Call) or len(node.args) < 2 or not self.trains(node):
                continue
            kind = made.get(self.code(node.func)) or LOSSES.get(name_of(node.func))
            if kind:
                found.append((kind, node))
        return found

    def trains(self, node: ast.AST) -> bool:
        """Whether a node stands in a loop or function that takes gradients."""
        for above in self.ancestors(node):
            if isinstance(above, ast.For | ast.While | ast.FunctionDef):
                if any(backward in ast.walk(above) for backward in self.backwards):
                    return True
                if isinstance(above, ast.FunctionDef) and above.name == "training_step":
                    return True
        return False

    def loop(self, node: ast.AST) -> ast.AST:
        """The innermost loop or function around a node."""
        kinds = ast.For | ast.While | ast.FunctionDef | ast.Module
        return next(a for a in self.ancestors(node) if isinstance(a, kinds))

    @cached_property
    def layers(self) -> list[ast.AST]:
        """Where layers with weights are made."""
        return list(self.calls(*LAYERS))

    def layer(self, call: ast.Call) -> str:
        """The name of the layer that a call makes: ``fc1``, ``2``, ``encoder.0``."""
        parent = self.parents[call]
        if isinstance(parent, ast.Call) and name_of(parent.func) == "Sequential":
            outer = self.layer(parent)
            index = str(parent.args.index(call))
            return f"{outer}.{index}" if outer else index
        if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Attribute):
            return parent.targets[0].attr
        return ""
