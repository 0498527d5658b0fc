"""Losses and widths are mended in every spelling of losses, targets and networks."""

from __future__ import annotations

import pytest
from tests.doctor.remedies.programs import Program

from glial.doctor.evidence import TensorSeen

COLUMN = [[[8, 1], [8]]]
ROW = [[[8], [8, 1]]]


@pytest.mark.parametrize(
    ("before", "after", "broadcast"),
    [
        ("loss = F.mse_loss(net(x), y)", "loss = F.mse_loss(net(x).squeeze(-1), y)", COLUMN),
        ("loss = F.mse_loss(net(x), y.squeeze(1))", "loss = F.mse_loss(net(x), y)", COLUMN),
        ("loss = F.mse_loss(net(x), y[:, 0])", "loss = F.mse_loss(net(x), y)", COLUMN),
        ("loss = F.mse_loss(net(x), y[:, None])", "loss = F.mse_loss(net(x), y)", ROW),
        ("loss = F.mse_loss(net(x), y.view(-1, 1))", "loss = F.mse_loss(net(x), y)", ROW),
        ("loss = F.mse_loss(out, y)", "loss = F.mse_loss(out, y.squeeze(-1))", ROW),
        ("loss = F.mse_loss(a + b, y)", "loss = F.mse_loss((a + b).squeeze(-1), y)", COLUMN),
    ],
)
def test_outputs_and_targets_have_one_shape(
    before: str, after: str, broadcast: list[list[list[int]]]
) -> None:
    made = Program(before).model("net").loss("mse_loss", at="loss =", broadcast=broadcast)
    told = made.first("shape-broadcast", at="loss =")
    assert told == [f"- {before}", f"+ {after}"]


@pytest.mark.parametrize(
    "before",
    [
        "loss = ((net(x) - y) ** 2).mean()",
        "for x in xs: opt.zero_grad(); loss = ((net(x) - y) ** 2).mean(); loss.backward()",
    ],
)
def test_a_loss_by_hand_compares_one_shape(before: str) -> None:
    made = Program(before).model("net").loss("hand-written", at="loss =", broadcast=COLUMN)
    first, second = made.all("shape-broadcast", at="loss =")
    assert "loss = ((net(x).squeeze(-1) - y) ** 2).mean()" in first[1]
    assert "loss = ((net(x) - y.unsqueeze(-1)) ** 2).mean()" in second[1]


def test_a_network_whose_column_nobody_wants_gives_rows() -> None:
    text = """
        class Net(nn.Module):
            def forward(self, x):
                return self.out(x)
        net = Net()
        loss = F.mse_loss(net(x), y)
        error = (net(test) - y_test).abs().mean()
    """
    made = Program(text).model("net", at="Net()").loss("mse_loss", at="loss =", broadcast=COLUMN)
    made.evidence.models[0].kind = "Net"
    told = made.first("shape-broadcast", at="loss =")
    assert told == ["- return self.out(x)", "+ return self.out(x).squeeze(-1)"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("nn.CrossEntropyLoss(reduction='sum')", "nn.CrossEntropyLoss()"),
        ("nn.MSELoss(reduction='sum', delta=1)", "nn.MSELoss(delta=1)"),
        ("nn.MSELoss(size_average=False)", "nn.MSELoss()"),
    ],
)
def test_a_loss_module_is_averaged(before: str, after: str) -> None:
    text = f"loss_of = {before}\nloss = loss_of(net(x), y)\n"
    made = Program(text).loss(at="loss =", made_at="loss_of =", reduction="sum")
    told = made.first("wrong-reduction", at="loss =")
    assert told == [f"- loss_of = {before}", f"+ loss_of = {after}"]


def test_a_sum_of_losses_is_divided_as_a_whole() -> None:
    text = """
        def loss_of(rebuilt, x, mu, log_var):
            bce = F.binary_cross_entropy(rebuilt, x.view(-1, 784), reduction="sum")
            kld = -0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp())
            return bce + kld
    """
    made = Program(text).loss(
        "binary_cross_entropy",
        at="F.binary",
        reduction="sum",
        functions=["binary_cross_entropy", "add"],
        functions_at=["F.binary", "return"],
    )
    told = made.first("wrong-reduction", at="F.binary")
    assert told == ["- return bce + kld", "+ return (bce + kld) / len(x)"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("loss = -torch.log(torch.softmax(z, 1))", "loss = -torch.log_softmax(z, 1)"),
        ("loss = -torch.log(F.softmax(z, dim=1))", "loss = -F.log_softmax(z, dim=1)"),
        ("loss = -z.softmax(1).log()", "loss = -z.log_softmax(1)"),
        ("loss = -torch.log(p[rows, y])", "loss = -torch.log(p[rows, y].clamp(min=1e-8))"),
        ("loss = -torch.log(1 - p)", "loss = -torch.log((1 - p).clamp(min=1e-8))"),
        ("loss = (p * p.log()).sum()", "loss = (p * p.clamp(min=1e-8).log()).sum()"),
        ("loss = ((a - b) ** 2).sum(1).sqrt()", "loss = (((a - b) ** 2).sum(1) + 1e-12).sqrt()"),
        ("loss = torch.sqrt(x.sum())", "loss = torch.sqrt(x.sum() + 1e-12)"),
        ("loss = (a + b).sqrt()", "loss = (a + b + 1e-12).sqrt()"),
    ],
)
def test_logarithms_and_roots_are_guarded(before: str, after: str) -> None:
    made = Program(f"import torch\n{before}\n")
    assert made.first("unsafe-numerics", at="loss =") == [f"- {before}", f"+ {after}"]


def test_what_is_guarded_already_is_left_alone() -> None:
    text = "loss = -torch.log(p.clamp(min=1e-6)) - torch.log(p + eps)\n"
    assert not Program(text).mended("unsafe-numerics", at="loss =")


def test_both_logarithms_of_a_loss_are_guarded() -> None:
    text = "a = y * torch.log(p)\nb = (1 - y) * torch.log(1 - p)\nloss = -(a + b).mean()\n"
    made = Program(text).loss(
        "hand-written", functions=["log", "rsub", "log"], functions_at=["a =", "b =", "b ="]
    )
    (mended,) = made.mended("loss-not-finite")
    assert mended.count(".clamp(min=1e-8)") == 2


def test_the_logarithm_of_a_sigmoid_is_taken_at_once() -> None:
    text = "import torch.nn.functional as F\nloss = -torch.log(torch.sigmoid(z)).mean()\n"
    told = Program(text).first("unsafe-numerics", at="loss =")
    assert told[1] == "+ loss = -F.logsigmoid(z).mean()"


def counted(*values: int) -> dict[str, object]:
    counts = {str(value): 9 for value in values}
    return {"min": float(min(values)), "max": float(max(values)), "counts": counts, "whole": True}


def test_squares_on_one_hot_classes_become_cross_entropy() -> None:
    text = """
        net = nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=1))
        loss_of = nn.MSELoss()
        loss = loss_of(net(x), y)
    """
    made = (
        Program(text)
        .model("net")
        .layer("1", "Softmax", "net =")
        .loss(
            "mse_loss",
            at="loss =",
            made_at="loss_of =",
            output_layer="1",
            output_function="softmax",
            model="net",
            target={**counted(0, 1), "shape": [8, 3]},
        )
    )
    told = made.first("wrong-loss", at="loss =")
    assert [line for line in told if line[0] == "+"] == [
        "+ net = nn.Sequential(nn.Linear(2, 3))",
        "+ loss_of = nn.CrossEntropyLoss()",
    ]


def test_squares_on_yes_and_no_become_cross_entropy() -> None:
    text = "loss = F.mse_loss(net(x), y)\n"
    made = Program(text).loss(
        "mse_loss", at="loss =", output_function="sigmoid", target={**counted(0, 1), "shape": [8]}
    )
    told = made.first("wrong-loss", at="loss =")
    assert told[1] == "+ loss = F.binary_cross_entropy(net(x), y)"


def test_amounts_are_not_taken_for_probabilities() -> None:
    text = "loss_of = nn.BCEWithLogitsLoss()\nloss = loss_of(net(x), y)\n"
    made = Program(text).loss(
        "binary_cross_entropy_with_logits",
        at="loss =",
        made_at="loss_of =",
        target={"min": -3.0, "max": 9.0, "shape": [8, 1]},
    )
    assert made.first("wrong-loss", at="loss =")[1] == "+ loss_of = nn.MSELoss()"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "loss = F.mse_loss(out.max(1).values, y.float())",
            "loss = torch.nn.functional.cross_entropy(out, y)",
        ),
        (
            "loss = F.mse_loss(net(x).argmax(1), y)",
            "loss = torch.nn.functional.cross_entropy(net(x), y.long())",
        ),
    ],
)
def test_class_numbers_are_classified(before: str, after: str) -> None:
    made = Program(f"import torch\n{before}\n").model("net")
    made.evidence.models[0].outputs["train"] = TensorSeen(shape=[8, 3])
    made = made.loss(
        "mse_loss", at="loss =", model="net", target={**counted(0, 1, 2), "shape": [8]}
    )
    assert made.first("wrong-loss", at="loss =")[1] == f"+ {after}"


NETWORK = """
    class Net(nn.Module):
        def __init__(self, hidden=8, classes={default}):
            super().__init__()
            self.out = nn.Linear(hidden, classes)
    {more}
    net = Net({given})
    loss = F.cross_entropy(net(x), y)
"""


@pytest.mark.parametrize(
    ("default", "more", "given", "line"),
    [
        ("9", "", "", "+ def __init__(self, hidden=8, classes=10):"),
        ("3", "", "16, 9", "+ net = Net(16, 10)"),
        ("3", "", "classes=9", "+ net = Net(classes=10)"),
        ("3", "K = 9", "16, K", "+ K = 10"),
        ("3", "n, K = 16, 9", "n, K", "+ n, K = 16, 10"),
    ],
)
def test_an_output_for_each_class_wherever_the_number_is_written(
    default: str, more: str, given: str, line: str
) -> None:
    made = Program(NETWORK.format(default=default, more=more, given=given)).model("net")
    made = made.layer("out", "Linear", "self.out").loss(
        at="loss =", model="net", output_layer="out", target={**counted(0, 9), "shape": [8]}
    )
    numbers = {"outputs": 9, "largest_target": 9.0}
    told = made.first("wrong-output-width", at="loss =", numbers=numbers)
    assert told[1] == line


def test_outputs_that_are_never_asked_for_go_unless_evaluation_may_ask() -> None:
    text = "net = nn.Sequential(nn.Linear(4, 9))\nloss = F.cross_entropy(net(x), y)\n"
    made = Program(text).model("net").layer("0", "Linear", "net =")
    target = {**counted(0, 2), "shape": [8]}
    made = made.loss(at="loss =", model="net", output_layer="0", target=target)
    numbers = {"outputs": 9, "classes": 3}
    told = made.first("wrong-output-width", numbers=numbers)
    assert told[1] == "+ net = nn.Sequential(nn.Linear(4, 3))"
    made.evidence.rows.unseen_classes = ["4"]
    assert made.all("wrong-output-width", numbers=numbers) == []


def test_a_width_that_is_computed_is_written_down() -> None:
    text = "net = nn.Sequential(nn.Linear(4, len(names)))\nloss = F.cross_entropy(net(x), y)\n"
    made = Program(text).model("net").layer("0", "Linear", "net =")
    made = made.loss(at="loss =", model="net", output_layer="0")
    told = made.first("wrong-output-width", numbers={"target": 4})
    assert told[1] == "+ net = nn.Sequential(nn.Linear(4, 5))"


def test_cross_entropy_on_amounts_becomes_a_distance() -> None:
    text = "loss_of = nn.CrossEntropyLoss()\nloss = loss_of(net(x), y)\n"
    target = {"min": -1.0, "max": 1.0, "std": 0.5, "shape": [8, 1]}
    made = Program(text).loss(at="loss =", made_at="loss_of =", target=target)
    told = made.all("wrong-output-width", at="loss =", numbers={"outputs": 1, "loss": 0.0})
    assert [lines[1] for lines in told] == [
        "+ loss_of = nn.MSELoss()",
        "+ loss_of = nn.HuberLoss()",
    ]
    made.evidence.losses[0].target.std = 0.05  # type: ignore[union-attr]
    told = made.all("wrong-output-width", at="loss =", numbers={"outputs": 1, "loss": 0.0})
    assert told[0][1] == "+ loss_of = nn.HuberLoss()"


def test_classes_are_counted_from_nought() -> None:
    text = "net = nn.Sequential(nn.Linear(4, 3))\nloss = F.cross_entropy(net(x), y)\n"
    made = (
        Program(text)
        .model("net")
        .layer("0", "Linear", "net =")
        .loss(at="loss =", model="net", output_layer="0", target={**counted(1, 3), "shape": [8]})
    )
    numbers = {"outputs": 3, "largest_target": 3.0}
    wider, shifted = made.all("wrong-output-width", at="loss =", numbers=numbers)
    assert wider[1] == "+ net = nn.Sequential(nn.Linear(4, 4))"
    assert shifted[1] == "+ loss = F.cross_entropy(net(x), y - 1)"
