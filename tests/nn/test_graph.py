"""A captured graph: nodes, edges, running it, and the drawing."""

from __future__ import annotations

import time
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.nn.graph import Graph, Node, capture, draw_svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def graph():
    return capture(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), (torch.zeros(4, 3),))


def test_nodes_are_operations_and_edges_tensors(graph):
    by_label = {node.label: node for node in graph.nodes}
    assert by_label["0.weight"].kind == by_label["0.bias"].kind == "variable"
    assert by_label["0.weight"].shape == [2, 3]
    linear, relu = by_label["linear"], by_label["relu"]
    assert (linear.kind, linear.shape) == ("operation", [4, 2])
    kinds = {node.name: node.kind for node in graph.nodes}
    assert sorted(kinds[name] for name in linear.inputs) == ["placeholder", "variable", "variable"]
    assert relu.inputs == [linear.name]
    assert graph.nodes[-1].kind == "output"
    assert graph.nodes[-1].inputs == [relu.name]


def test_inputs_come_before_what_uses_them(graph):
    seen = set()
    for node in graph.nodes:
        assert seen.issuperset(node.inputs)
        assert node.name not in seen
        seen.add(node.name)


def test_running_it_is_running_the_network():
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Dropout())
    graph = capture(model, (torch.zeros(4, 3),))
    rows = torch.randn(4, 3)
    torch.testing.assert_close(graph.run(rows), model.eval()(rows))


@pytest.mark.parametrize("count", [0, 2])
def test_a_placeholder_that_is_not_fed_is_an_error(graph, count):
    with pytest.raises(InputError, match="not fed"):
        graph.run(*[torch.zeros(4, 3)] * count)


def test_the_network_keeps_its_modes():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Dropout().eval())
    capture(model, (torch.zeros(2, 2),))
    assert [module.training for module in model] == [True, True, False]


def test_the_drawing_is_well_formed_with_a_box_a_node_and_a_path_an_edge(graph):
    root = ElementTree.fromstring(draw_svg(graph))
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f"{SVG}g")) == len(graph.nodes)
    assert len(root.findall(f"{SVG}path")) == sum(len(node.inputs) for node in graph.nodes)
    titles = {group.find(f"{SVG}title").text for group in root.findall(f"{SVG}g")}
    assert "variable: 0.weight 2×3" in titles


def test_boxes_do_not_overlap_and_stand_below_their_inputs(graph):
    root = ElementTree.fromstring(draw_svg(graph))
    rects = [group.find(f"{SVG}rect") for group in root.findall(f"{SVG}g")]
    places = [(int(rect.get("x")), int(rect.get("y"))) for rect in rects]
    assert len(set(places)) == len(places)
    row = {node.name: y for node, (_, y) in zip(graph.nodes, places, strict=True)}
    assert all(row[parent] < row[n.name] for n in graph.nodes for parent in n.inputs)


def test_signs_of_xml_in_a_label_are_escaped(graph):
    node = Node("a", "operation", '<&">', [1], [])
    root = ElementTree.fromstring(draw_svg(Graph([node], graph.program)))
    assert root.find(f"{SVG}g/{SVG}title").text == 'operation: <&"> 1'


def test_a_graph_of_many_nodes_is_drawn_quickly(graph):
    nodes = [Node("n0", "placeholder", "n0", [1])]
    for i in range(1, 2000):
        nodes.append(Node(f"n{i}", "operation", f"n{i}", [1], [f"n{i - 1}", f"n{i // 2}"]))
    begin = time.perf_counter()
    ElementTree.fromstring(draw_svg(Graph(nodes, graph.program)))
    assert time.perf_counter() - begin < 2
