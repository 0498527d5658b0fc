"""Activations are taken off, put in and turned, however networks and losses are written."""

from __future__ import annotations

import pytest
from tests.doctor.remedies.programs import Program

TAIL = """
    loss_of = nn.CrossEntropyLoss()
    loss = loss_of(net(x), y)
"""


def with_last(text: str, name: str, kind: str, at: str, **values: str) -> Program:
    made = Program(text + TAIL).model("net").layer(name, kind, at)
    return made.loss(
        at="loss = loss_of",
        made_at="CrossEntropyLoss",
        model="net",
        output_layer=name,
        output_function=kind.lower(),
        **values,
    )


@pytest.mark.parametrize(
    ("network", "at", "lines"),
    [
        (
            "net = nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=1))",
            "Softmax",
            [
                "- net = nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=1))",
                "+ net = nn.Sequential(nn.Linear(2, 3))",
            ],
        ),
        (
            "net = nn.Sequential(\n        nn.Linear(2, 3),\n        nn.Softmax(dim=1),\n    )",
            "Softmax",
            ["- nn.Softmax(dim=1),"],
        ),
        (
            "net = nn.Sequential(\n        nn.ReLU(),\n        nn.Softmax(dim=1)  # odds\n    )",
            "Softmax",
            ["- nn.Softmax(dim=1)  # odds"],
        ),
        (
            "layers = [nn.Linear(2, 3)]\n    layers.append(nn.Softmax(dim=1))",
            "Softmax",
            ["- layers.append(nn.Softmax(dim=1))"],
        ),
        (
            "net = Sequential(OrderedDict([('a', nn.Linear(2, 3)), ('b', nn.Softmax(1))]))",
            "Softmax",
            [
                "- net = Sequential(OrderedDict([('a', nn.Linear(2, 3)), ('b', nn.Softmax(1))]))",
                "+ net = Sequential(OrderedDict([('a', nn.Linear(2, 3))]))",
            ],
        ),
        (
            "class Net(nn.Module):\n        def __init__(self):\n"
            "            self.out = nn.Linear(2, 3)\n            self.soft = nn.Softmax(dim=1)\n"
            "        def forward(self, x):\n            return self.soft(self.out(x))",
            "Softmax",
            [
                "- self.soft = nn.Softmax(dim=1)",
                "- return self.soft(self.out(x))",
                "+ return self.out(x)",
            ],
        ),
        (
            "net = mlp(2, 3, nn.Softmax(dim=1))",
            "Softmax",
            ["- net = mlp(2, 3, nn.Softmax(dim=1))", "+ net = mlp(2, 3, nn.Identity())"],
        ),
        (
            "net = mlp(2, 3, last=nn.Softmax(dim=1))",
            "Softmax",
            ["- net = mlp(2, 3, last=nn.Softmax(dim=1))", "+ net = mlp(2, 3, last=nn.Identity())"],
        ),
        (
            "def forward(self, x):\n        return F.softmax(self.out(x), dim=1)",
            "F.softmax",
            ["- return F.softmax(self.out(x), dim=1)", "+ return self.out(x)"],
        ),
        (
            "def forward(self, x):\n        return self.out(x).softmax(-1)",
            ".softmax",
            ["- return self.out(x).softmax(-1)", "+ return self.out(x)"],
        ),
    ],
)
def test_the_loss_is_given_plain_outputs(network: str, at: str, lines: list[str]) -> None:
    made = with_last(f"\n    {network}", "1", "Softmax", at)
    assert made.first("softmax-twice", at="loss = loss_of", where="1") == lines


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("loss = loss_of(torch.softmax(net(x), dim=1), y)", "loss = loss_of(net(x), y)"),
        ("loss = loss_of(nn.Softmax(dim=1)(net(x)), y)", "loss = loss_of(net(x), y)"),
        ("loss = loss_of(net(x).softmax(1), y)", "loss = loss_of(net(x), y)"),
        ("loss = loss_of(F.softmax(a + b, -1), y)", "loss = loss_of(a + b, y)"),
    ],
)
def test_probabilities_between_network_and_loss_are_taken_off(before: str, after: str) -> None:
    made = Program(before).model("net").loss(at="loss =", output_function="softmax", model="net")
    assert made.first("softmax-twice", at="loss =") == [f"- {before}", f"+ {after}"]


def test_probabilities_that_are_used_elsewhere_stay() -> None:
    text = """
        out = net(x)
        probs = F.softmax(out, dim=1)
        loss = loss_of(probs, y)
        right += (probs.argmax(1) == y).sum()
    """
    made = (
        Program(text)
        .model("net")
        .loss(
            at="loss =",
            output_function="softmax",
            model="net",
            functions=["softmax", "cross_entropy"],
            functions_at=["F.softmax", "loss ="],
        )
    )
    told = made.first("softmax-twice", at="loss =")
    assert told == ["- loss = loss_of(probs, y)", "+ loss = loss_of(out, y)"]


def test_a_network_that_is_asked_for_probabilities_keeps_its_sigmoid() -> None:
    text = """
        net = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
        loss_of = nn.BCEWithLogitsLoss()
        loss = loss_of(net(x), y)
        right = ((net(x) > 0.5) == y).sum()
    """
    made = (
        Program(text)
        .model("net")
        .layer("1", "Sigmoid", "Sigmoid")
        .loss(
            "binary_cross_entropy_with_logits",
            at="loss = loss_of",
            made_at="BCEWith",
            model="net",
            output_layer="1",
            output_function="sigmoid",
        )
    )
    first, second = made.all("softmax-twice", at="loss = loss_of")
    assert first == ["- loss_of = nn.BCEWithLogitsLoss()", "+ loss_of = nn.BCELoss()"]
    assert second[1] == "+ net = nn.Sequential(nn.Linear(2, 1))"


def test_a_softmax_over_labels_becomes_a_sigmoid() -> None:
    text = """
        net = nn.Sequential(nn.Linear(2, 5), nn.Softmax(dim=1))
        loss = F.binary_cross_entropy(net(x), y)
    """
    made = (
        Program(text)
        .model("net")
        .layer("1", "Softmax", "Softmax")
        .loss(
            "binary_cross_entropy",
            at="loss =",
            model="net",
            output_layer="1",
            output_function="softmax",
        )
    )
    told = made.first("wrong-output-activation", at="loss =")
    assert told[1] == "+ net = nn.Sequential(nn.Linear(2, 5), nn.Sigmoid())"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("p = torch.softmax(x, dim=0)", "p = torch.softmax(x, dim=-1)"),
        ("p = torch.softmax(x, 0)", "p = torch.softmax(x, -1)"),
        ("p = x.softmax(0)", "p = x.softmax(-1)"),
        ("p = F.log_softmax(x, dim=0)", "p = F.log_softmax(x, dim=-1)"),
        ("p = F.normalize(x, dim=0)", "p = F.normalize(x, dim=-1)"),
        ("p = F.normalize(x, 2, 0)", "p = F.normalize(x, 2, -1)"),
        ("p = nn.Softmax(0)", "p = nn.Softmax(-1)"),
        ("p = att.softmax(dim=-2)", "p = att.softmax(dim=-1)"),
    ],
)
def test_an_axis_is_turned(before: str, after: str) -> None:
    assert Program(before).first("wrong-axis", at="p =") == [f"- {before}", f"+ {after}"]


def test_an_axis_that_is_right_is_left_alone() -> None:
    assert not Program("p = torch.softmax(x, dim=1)").mended("wrong-axis", at="p =")


def test_recurrent_layers_are_told_that_rows_come_first() -> None:
    made = Program("rnn = nn.GRU(\n    4,\n    8,\n)\n").model("net", at="GRU")
    (mended,) = made.mended("cross-sample-leak")
    assert "8, batch_first=True,\n" in mended


def test_dropout_is_taken_off_the_outputs() -> None:
    text = "net = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))"
    made = Program(text).model("net").layer("1", "Dropout", "net =", settings={"p": 0.5})
    told = made.first("misplaced-activation", where="net.1")
    assert told[1] == "+ net = nn.Sequential(nn.Linear(2, 3))"


def test_a_softmax_between_layers_becomes_a_relu() -> None:
    text = "net = nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=1), nn.Linear(3, 1))"
    made = Program(text).model("net").layer("1", "Softmax", "net =")
    told = made.first("misplaced-activation", where="net.1")
    assert told[1] == "+ net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))"


def test_the_second_of_two_activations_is_taken_out() -> None:
    text = "net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.ReLU(), nn.Linear(3, 1))"
    made = Program(text).model("net").layer("1", "ReLU", "net =").layer("2", "ReLU", "net =")
    told = made.first("redundant-layer", where="net.2")
    assert told[1] == "+ net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))"


def test_a_bias_that_is_taken_away_again_is_left_out() -> None:
    made = Program("net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))").model("net")
    made = made.layer("0", "Linear", "net =").layer("1", "BatchNorm1d", "net =")
    means = "the bias of 0 is taken away again by 1"
    told = made.first("redundant-layer", where="net.0", means=means)
    assert told[1] == "+ net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3))"


def test_rates_and_variances_are_made_positive() -> None:
    problem = "wrong-output-activation"
    poisson = Program("loss_of = nn.PoissonNLLLoss(log_input=False, full=True)\n")
    told = poisson.first(problem, at="Poisson")
    assert told[1] == "+ loss_of = nn.PoissonNLLLoss(full=True)"
    text = """
        import torch
        class Net(nn.Module):
            def forward(self, x):
                return self.mean(x), self.spread(x)
        mu, var = net(x)
        loss = loss_of(mu, y, var)
    """
    told = Program(text).first(problem, at="loss =", means="a negative variance")
    assert told[1] == "+ return self.mean(x), torch.exp(self.spread(x))"
