"""Modes are set where a careful reader would set them."""

from __future__ import annotations

import pytest
from tests.doctor.remedies.programs import Program

TRAINING = {"training_calls_in_eval_mode": 9, "training_calls": 9}
JUDGING = {"evaluation_calls_in_training_mode": 9, "evaluation_calls": 9}


def program(text: str, eval_at: str | None = None) -> Program:
    made = Program(text).loss(backward_at="backward()").optimizer(at=".step(")
    return made.model("net", calls={"train": 9}, eval_at=eval_at)


LOOPS = """
    net = Net()
    {}
    for epoch in range(9):
        for x, y in loader:
            loss = loss_of(net(x), y)
            loss.backward()
            opt.step()
"""


def test_eval_before_training_becomes_train() -> None:
    text = LOOPS.format("net.eval()")
    assert program(text).first("wrong-mode", numbers=TRAINING) == ["- net.eval()", "+ net.train()"]
    text = LOOPS.format("net.train(False)")
    told = program(text).first("wrong-mode", numbers=TRAINING)
    assert told == ["- net.train(False)", "+ net.train()"]


def test_training_mode_comes_back_in_each_epoch_after_an_evaluation() -> None:
    text = LOOPS.format("net.train()") + "        judge(net)\n"
    (mended,) = program(text).mended("wrong-mode", numbers=TRAINING)
    assert "range(9):\n    net.train()\n    for x, y" in mended


def test_training_mode_is_set_in_a_function_of_one_step() -> None:
    text = '''
        def train_step(self, x, y):
            """One step."""
            loss = self.loss(self.net(x), y)
            loss.backward()
            self.opt.step()
    '''
    (mended,) = program(text).mended("wrong-mode", numbers=TRAINING)
    assert '"""One step."""\n    self.net.train()\n    loss =' in mended


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("print(net(test).argmax(1))", "net.eval()\nprint(net(test).argmax(1))"),
        (
            "with torch.no_grad():\n    out = net(test)",
            "net.eval()\nwith torch.no_grad():\n    out = net(test)",
        ),
        (
            "with torch.no_grad():\n    for x in test:\n        out = net(x)",
            "net.eval()\nwith torch.no_grad():\n    for x in test:\n        out = net(x)",
        ),
    ],
)
def test_the_network_is_judged_in_evaluation_mode(before: str, after: str) -> None:
    piece = before.splitlines()[-1].strip()
    text = LOOPS.format("net.train()")
    made = Program(text)
    whole = made.text + before + "\n"
    (mended,) = program(whole, piece).mended("wrong-mode", at=piece, numbers=JUDGING)
    assert mended == made.text + after + "\n"


def test_training_mode_returns_after_an_evaluation_in_each_epoch() -> None:
    text = LOOPS.format("net.train()") + "        out = net(test)\n"
    (mended,) = program(text).mended("wrong-mode", at="out = net", numbers=JUDGING)
    assert mended.endswith("    net.eval()\n    out = net(test)\n    net.train()\n")


def test_training_mode_returns_after_a_function_that_evaluates() -> None:
    text = """
        def judge(model, loader):
            right = 0
            with torch.no_grad():
                for x, y in loader:
                    right += (model(x).argmax(1) == y).sum()
            return right
        for epoch in range(9):
            for x, y in loader:
                loss_of(net(x), y).backward()
                opt.step()
            judge(net, test)
    """
    (mended,) = program(text).mended("wrong-mode", at="right +=", numbers=JUDGING)
    assert "    right = 0\n    model.eval()\n    with torch.no_grad():" in mended
    assert "range(9):\n    net.train()\n    for x, y in loader:" in mended


def test_a_loop_that_sets_training_mode_is_left_as_it_is() -> None:
    text = """
        for epoch in range(9):
            net.train()
            for x, y in loader:
                loss_of(net(x), y).backward()
                opt.step()
            with torch.no_grad():
                out = net(test)
    """
    (mended,) = program(text).mended("wrong-mode", at="out = net", numbers=JUDGING)
    assert mended.count("net.train()") == 1
    assert "    net.eval()\n    with torch" in mended


def test_batch_normalisation_follows_the_data_again() -> None:
    text = """
        net = nn.Sequential(
            nn.Linear(2, 3), nn.BatchNorm1d(3, momentum=0.0),
            nn.BatchNorm1d(3, 1e-5, momentum=0.0, affine=True), nn.BatchNorm1d(3, momentum=0.2),
        )
    """
    made = Program(text).model("net").layer("1", "BatchNorm1d", "Linear", settings={"momentum": 0})
    told = made.first("stale-statistics", where="net.1", numbers={"momentum": 0.0})
    assert [line for line in told if line[0] == "+"] == [
        "+ nn.Linear(2, 3), nn.BatchNorm1d(3),",
        "+ nn.BatchNorm1d(3, 1e-5, affine=True), nn.BatchNorm1d(3, momentum=0.2),",
    ]
