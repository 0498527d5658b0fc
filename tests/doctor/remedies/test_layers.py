"""Layers and first weights are mended where they are made or called, however that is spelt."""

from __future__ import annotations

import pytest
from tests.doctor.remedies.seen import (
    case_of,
    chain,
    lines_changed,
    network,
    optimizer_in,
    place,
    proposed,
)

from glial.doctor.evidence import LayerSeen, LossSeen, ParameterSeen, Series


def linear_chain(text: str, *parts: str) -> list[LayerSeen]:
    """Linear layers, each made at the line that holds a part."""
    return chain(*["Linear"] * len(parts), at=[place(text, part) for part in parts])


STACKS = [
    (
        "from torch import nn\nnet = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))\n",
        "net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))",
    ),
    (
        "import torch.nn as nn\nnet = nn.Sequential(*[nn.Linear(8, 8), nn.Linear(8, 8)])\n",
        "net = nn.Sequential(*[nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)])",
    ),
    (
        "from torch.nn import Linear, ReLU, Sequential\n"
        "net = Sequential(Linear(8, 8), Linear(8, 8))\n",
        "net = Sequential(Linear(8, 8), ReLU(), Linear(8, 8))",
    ),
]


@pytest.mark.parametrize(("text", "line"), STACKS)
def test_an_activation_is_put_between_the_layers_of_a_stack(text: str, line: str) -> None:
    model = network(*linear_chain(text, "net =", "net ="))
    case = case_of(text, "missing-nonlinearity", models=[model], where="0")
    assert lines_changed(text, proposed(case)["nonlinearity"]) == [line]


def test_a_stack_on_several_lines_gets_lines() -> None:
    text = (
        "from torch import nn\n"
        "net = nn.Sequential(\n"
        "    nn.Linear(8, 9),\n"
        "    nn.Linear(9, 7),  # in the middle\n"
        "    nn.Linear(7, 2),\n"
        ")\n"
    )
    layers = linear_chain(text, "(8, 9)", "(9, 7)", "(7, 2)")
    case = case_of(text, "missing-nonlinearity", models=[network(*layers)], where="0")
    assert proposed(case)["nonlinearity"] == (
        "from torch import nn\n"
        "net = nn.Sequential(\n"
        "    nn.Linear(8, 9),\n"
        "    nn.ReLU(),\n"
        "    nn.Linear(9, 7),\n"
        "    nn.ReLU(),  # in the middle\n"
        "    nn.Linear(7, 2),\n"
        ")\n"
    )


CLASSES = [
    ("        x = self.a(x)\n        return self.b(x)\n", "x = torch.relu(self.a(x))"),
    ("        return self.b(self.a(x))\n", "return self.b(torch.relu(self.a(x)))"),
    (
        "        return self.b(self.norm(self.a(x)))\n",
        "return self.b(torch.relu(self.norm(self.a(x))))",
    ),
    ("        return self.b(self.act(self.a(x)))\n", "self.act = torch.nn.ReLU()"),
]


@pytest.mark.parametrize(("body", "line"), CLASSES)
def test_an_activation_is_put_round_the_call_of_a_layer(body: str, line: str) -> None:
    text = (
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        self.a = torch.nn.Linear(8, 8)\n"
        "        self.b = torch.nn.Linear(8, 2)\n"
        "        self.norm = torch.nn.LayerNorm(8)\n"
        "        self.act = torch.nn.Identity()\n"
        "    def forward(self, x):\n" + body
    )
    layers = linear_chain(text, "self.a =", "self.b =")
    model = network(*layers, kind="Net")
    case = case_of(text, "missing-nonlinearity", models=[model], where="0")
    assert lines_changed(text, proposed(case)["nonlinearity"]) == [line]


def test_layers_of_a_loop_are_separated_once_the_network_is_whole() -> None:
    text = (
        "from torch import nn\n"
        "net = nn.Sequential(*[nn.Linear(8, 8) for _ in range(3)])\n"
        "o = SGD(net.parameters(), lr=0.1)\n"
    )
    layers = linear_chain(text, "net =", "net =", "net =")
    weights = [ParameterSeen(f"{n}.weight", str(n), [8, 8]) for n in range(3)]
    model = network(*layers, parameters=weights)
    case = case_of(
        text,
        "missing-nonlinearity",
        optimizer_in(text, made_at="SGD("),
        models=[model],
        where="0",
    )
    assert lines_changed(text, proposed(case)["nonlinearity"]) == [
        "net.insert(2, nn.ReLU())",
        "net.insert(1, nn.ReLU())",
    ]


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ("import torch\ny = torch.sigmoid(a(x))\n", "sigmoid", "y = torch.relu(a(x))"),
        ("import torch\ny = a(x).sigmoid()\n", "sigmoid", "y = a(x).relu()"),
        (
            "import torch.nn.functional as F\ny = F.tanh(a(x))\n",
            "tanh",
            "y = F.relu(a(x))",
        ),
        ("from torch import nn\ny = nn.Tanh()\n", "Tanh", "y = nn.ReLU()"),
    ],
)
def test_squashing_activations_become_relu(text: str, kind: str, line: str) -> None:
    layers = chain("Linear", kind, "Linear", at=[None, place(text, "y ="), None])
    case = case_of(text, "vanishing-gradient", models=[network(*layers)], where="0")
    assert lines_changed(text, proposed(case)["relu-inside"]) == [line]


@pytest.mark.parametrize("answers", [True, False])
def test_a_body_whose_outputs_others_take_has_no_outputs_of_its_own(answers: bool) -> None:
    text = (
        "from torch import nn\n"
        "net = nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(8, 8), nn.Sigmoid())])\n"
    )
    at = place(text, "range")
    layers = chain("Linear", "Sigmoid", "Linear", "Sigmoid", at=[at] * 4)
    case = case_of(
        text,
        "vanishing-gradient",
        models=[network(*layers)],
        losses=[LossSeen("mse_loss", model="net" if answers else "head")],
        where="0",
    )
    found = proposed(case)
    assert ("relu-inside" in found) is not answers
    assert ("fewer-layers" in found) is not answers
    if not answers:
        assert "nn.ReLU())])" in found["relu-inside"]
        assert "range(2)" in found["fewer-layers"]


@pytest.mark.parametrize(
    ("drawn", "begun_by_he"),
    [
        ("torch.randn(64, 50) * 20", "torch.randn(64, 50) * (2 / 64) ** 0.5"),
        ("20 * torch.randn(64, n)", "(2 / 64) ** 0.5 * torch.randn(64, n)"),
        ("torch.randn((64, 50))", "torch.randn((64, 50)) * (2 / 64) ** 0.5"),
        ("torch.randn(64, 50) / 0.05", "torch.randn(64, 50) * (2 / 64) ** 0.5"),
        (
            "torch.randn(64, 50, requires_grad=True)",
            "(torch.randn(64, 50) * (2 / 64) ** 0.5).requires_grad_()",
        ),
        (
            "torch.randn(64, 50).requires_grad_()",
            "(torch.randn(64, 50) * (2 / 64) ** 0.5).requires_grad_()",
        ),
    ],
)
def test_weights_drawn_by_hand_get_the_deviation_of_their_inputs(
    drawn: str, begun_by_he: str
) -> None:
    text = f"import torch\nw = {drawn}\nb = torch.randn(50)\ny = x @ w + b\n"
    seen = ParameterSeen("w", "", [64, 50], std=20.0)
    case = case_of(
        text,
        "bad-initial-scale",
        optimizer_in(text, made_at="w ="),
        models=[network(parameters=[seen])],
        where="net",
    )
    assert lines_changed(text, proposed(case)["scaled-weights"]) == [f"w = {begun_by_he}"]


def test_a_gate_stays_a_sigmoid() -> None:
    text = "import torch\ny = torch.sigmoid(a(x)) * b(x)\n"
    layers = chain("Linear", "sigmoid", "Linear", at=[None, place(text, "y ="), None])
    case = case_of(text, "vanishing-gradient", models=[network(*layers)], where="0")
    assert "relu-inside" not in proposed(case)


def test_narrow_layers_are_widened_on_both_sides() -> None:
    text = (
        "from torch import nn\n"
        "hidden = 1\n"
        "net = nn.Sequential(nn.Linear(20, hidden), nn.ReLU(), nn.Linear(hidden, 3))\n"
    )
    at = place(text, "net =")
    layers = chain("Linear", "ReLU", "Linear", at=[at] * 3)
    weights = [
        ParameterSeen("0.weight", "0", [1, 20], at=at),
        ParameterSeen("2.weight", "2", [3, 1], at=at),
    ]
    model = network(*layers, parameters=weights)
    case = case_of(text, "underfitting", models=[model], evidence={"width": 1}, where="0")
    assert lines_changed(text, proposed(case)["wider-layers"]) == ["hidden = 32"]


def begun(std: float = 0.1, mean: float = 0.0, equal: float = 0.0) -> list[ParameterSeen]:
    """Weights of a layer that began so, and its bias."""
    seen = {"std": std, "mean": mean, "equal_units": equal, "weight": Series([1], [1.0])}
    return [ParameterSeen("0.weight", "0", [8, 8], **seen)]  # type: ignore[arg-type]


FIRST = "import torch\nnet = torch.nn.Linear(8, 8)\n"
MADE = "o = SGD(net.parameters(), lr=0.1)\n"
BAD = [
    ("for p in net.parameters():\n    torch.nn.init.zeros_(p)\n", begun(0, 0, 1), []),
    ("for p in net.parameters(): p.data.fill_(0.5)\n", begun(0, 0.5, 1), []),
    (
        "for p in net.parameters():\n    if p.dim() > 1:\n        p.data.normal_(0, 3.0)\n",
        begun(3.05),
        [],
    ),
    (
        "torch.nn.init.normal_(net.weight, std=1e-5)\n",
        begun(1.02e-5),
        ["torch.nn.init.kaiming_normal_(net.weight)"],
    ),
    (
        "def start(m):\n    m.weight.data.normal_(0, 5)\nnet.apply(start)\n",
        begun(5.1),
        ["torch.nn.init.kaiming_normal_(m.weight)"],
    ),
    (
        "torch.nn.init.uniform_(net.weight, -9, 9)\n",
        begun(5.2),
        ["torch.nn.init.kaiming_normal_(net.weight)"],
    ),
]


@pytest.mark.parametrize(("setting", "weights", "lines"), BAD)
def test_what_sets_weights_badly_is_found_by_the_weights(
    setting: str, weights: list[ParameterSeen], lines: list[str]
) -> None:
    text = FIRST + setting + MADE
    model = network(*chain("Linear", at=[None]), parameters=weights)
    case = case_of(
        text,
        "bad-initial-scale",
        optimizer_in(text, made_at="SGD("),
        models=[model],
        where="0",
        at="Linear",
    )
    found = proposed(case)
    first = next(iter(found.values()))
    assert lines_changed(text, first) == lines
    assert lines or first == FIRST + MADE
    assert "drawn-anew" in found
    assert "he-init" in found


def test_other_settings_of_weights_stay() -> None:
    text = FIRST + "torch.nn.init.zeros_(net.bias)\ntorch.nn.init.normal_(e, std=0.02)\n" + MADE
    model = network(*chain("Linear", at=[None]), parameters=begun(3.0))
    case = case_of(
        text, "bad-initial-scale", optimizer_in(text, made_at="SGD("), models=[model], at="Linear"
    )
    assert [*proposed(case)] == ["drawn-anew", "he-init"]
