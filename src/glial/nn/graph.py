"""The computational graph of a network: operations as nodes, tensors as edges, drawn as SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export.graph_signature import InputKind

from glial.core.errors import InputError
from glial.nn.summary import evaluating

NodeKind = Literal["placeholder", "variable", "constant", "operation", "output"]
COLOURS = {
    "placeholder": "#dbeafe",
    "variable": "#dcfce7",
    "constant": "#fef9c3",
    "operation": "#f3f4f6",
    "output": "#fee2e2",
}
WIDTH, HEIGHT, GAP_X, GAP_Y = 150, 40, 20, 36


@dataclass(frozen=True)
class Node:
    """One node of a graph.

    Attributes:
        name: Its name, unique in the graph.
        kind: ``placeholder`` (fed from outside), ``variable`` (a trainable parameter),
            ``constant`` (a buffer or a number in the code), ``operation`` or ``output``.
        label: What it is called in the drawing.
        shape: Shape of the tensor that it gives.
        inputs: Names of the nodes whose tensors it takes.
    """

    name: str
    kind: NodeKind
    label: str
    shape: list[int] | None
    inputs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Graph:
    """A captured computation: its nodes in the order in which they run.

    Attributes:
        nodes: Inputs before what uses them.
        program: The captured program; ``program.module()`` runs it.
    """

    nodes: list[Node]
    program: torch.export.ExportedProgram

    def run(self, *inputs: Tensor) -> Any:
        """Evaluate the graph on what is fed to its placeholders.

        Raises:
            InputError: If a placeholder is not fed, or too much is given.
        """
        wanted = [node.name for node in self.nodes if node.kind == "placeholder"]
        if len(inputs) != len(wanted):
            raise InputError(
                "the graph's placeholders are not fed",
                expected=f"a tensor for each of {', '.join(wanted) or 'none'}",
                got=f"{len(inputs)} tensors",
                do="give one tensor a placeholder, in this order",
            )
        return self.program.module()(*inputs)


def capture(model: nn.Module, inputs: tuple[Tensor, ...]) -> Graph:
    """Capture what a network computes, as a graph.

    Args:
        model: The network, captured in evaluation mode and left as it was.
        inputs: An example of what it is called with.

    Returns:
        The graph, which can be run and drawn.

    Example:
        >>> graph = capture(nn.Linear(2, 1), (torch.zeros(1, 2),))
        >>> [node.kind for node in graph.nodes]
        ['variable', 'variable', 'placeholder', 'operation', 'output']
    """
    with evaluating(model):
        program = torch.export.export(model, inputs)
    kinds: dict[str, NodeKind] = {}
    labels: dict[str, str] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.PARAMETER:
            kind: NodeKind = "variable"
        else:
            kind = "placeholder" if spec.kind is InputKind.USER_INPUT else "constant"
        name = getattr(spec.arg, "name", "")
        kinds[name], labels[name] = kind, spec.target or name
    nodes = [_node(node, kinds, labels) for node in program.graph.nodes]
    return Graph(nodes, program)


def _node(node: torch.fx.Node, kinds: dict[str, NodeKind], labels: dict[str, str]) -> Node:
    value = node.meta.get("val")
    shape = [int(size) for size in value.shape] if isinstance(value, Tensor) else None
    inputs = [parent.name for parent in node.all_input_nodes]
    if node.op == "placeholder":
        name = node.name
        return Node(name, kinds.get(name, "constant"), labels.get(name, name), shape, inputs)
    if node.op == "output":
        return Node(node.name, "output", "output", shape, inputs)
    label = str(node.target).removeprefix("aten.").split(".")[0]
    return Node(node.name, "operation", label, shape, inputs)


def draw_svg(graph: Graph) -> str:
    """A drawing of a graph from top to bottom, as SVG text.

    Args:
        graph: What was captured.

    Returns:
        The text of an SVG file; each node carries its full label and shape as a tooltip.

    Example:
        >>> draw_svg(capture(nn.ReLU(), (torch.zeros(1),))).startswith("<svg")
        True
    """
    places = _places(graph)
    width = max(x for x, _ in places.values()) + WIDTH + GAP_X
    height = max(y for _, y in places.values()) + HEIGHT + GAP_Y
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#6b7280"/></marker></defs>',
    ]
    for node in graph.nodes:
        parts += [_edge(places[parent], places[node.name]) for parent in node.inputs]
    parts += [_box(node, *places[node.name]) for node in graph.nodes]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _places(graph: Graph) -> dict[str, tuple[int, int]]:
    """Each node one row below its lowest input; inputs just above their first user."""
    depth: dict[str, int] = {}
    for node in graph.nodes:
        depth[node.name] = 1 + max((depth[parent] for parent in node.inputs), default=-1)
    sources = {node.name for node in graph.nodes if not node.inputs}
    first_user: dict[str, int] = {}
    for node in graph.nodes:
        for parent in node.inputs:
            first_user[parent] = min(first_user.get(parent, depth[node.name]), depth[node.name])
    depth |= {name: max(0, row - 1) for name, row in first_user.items() if name in sources}
    columns: dict[int, int] = {}
    places = {}
    for node in graph.nodes:
        row = depth[node.name]
        column = columns.get(row, 0)
        columns[row] = column + 1
        places[node.name] = (GAP_X + column * (WIDTH + GAP_X), GAP_Y // 2 + row * (HEIGHT + GAP_Y))
    return places


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + WIDTH // 2, start[1] + HEIGHT
    x2, y2 = end[0] + WIDTH // 2, end[1]
    middle = (y1 + y2) // 2
    return (
        f'<path d="M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}" fill="none" '
        'stroke="#6b7280" marker-end="url(#tip)"/>'
    )


def _box(node: Node, x: int, y: int) -> str:
    label = node.label if len(node.label) <= 22 else f"{node.label[:10]}…{node.label[-11:]}"
    shape = "×".join(map(str, node.shape)) if node.shape is not None else ""
    return (
        f"<g><title>{escape(node.kind)}: {escape(node.label)} {escape(shape)}</title>"
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="{COLOURS[node.kind]}" stroke="#9ca3af"/>'
        f'<text x="{x + WIDTH // 2}" y="{y + 17}" text-anchor="middle">{escape(label)}</text>'
        f'<text x="{x + WIDTH // 2}" y="{y + 32}" text-anchor="middle" fill="#6b7280">'
        f"{escape(shape)}</text></g>"
    )
