"""The start of a training, looked at before any of it is spent."""

from __future__ import annotations

import pytest

from glial.doctor.journal import PREFLIGHT_PASSES, PREFLIGHT_ROUNDS, Journal

TRAINING = """\
from pathlib import Path

x = torch.randn(256, 4)
y = (x[:, 0] > 0).long()
SETUP
for epoch in range(100):
    for rows in torch.randperm(256).split(32):
        optimizer.zero_grad()
        LOSS.backward()
        optimizer.step()
Path("finished").touch()
"""
SETUP = """\
net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
"""
LOSS = "nn.functional.cross_entropy(net(x[rows]), y[rows])"
FAULTS = {
    "healthy": ("", "", []),
    "softmax": (LOSS, LOSS.replace("net(x[rows])", "net(x[rows]).softmax(1)"), ["softmax-twice"]),
    "gradients": ("optimizer.zero_grad()", "pass", ["missing-zero-grad"]),
    "scale": ("x = torch.randn(256, 4)", "x = 1000 * torch.randn(256, 4)", ["unscaled-input"]),
    "frozen": ("Adam(net.", "Adam(net[2].", ["untrained-parameters"]),
    "no step": ("optimizer.step()", "pass", ["missing-step"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_start_is_told_within_a_few_steps_and_nothing_is_trained_on(doctor, fault):
    old, new, problems = FAULTS[fault]
    code = TRAINING.replace("SETUP", SETUP).replace("LOSS", LOSS)
    assert not old or old in code
    told = doctor.judge(code.replace(old, new), "--preflight")
    assert [found["problem"] for found in told.json["findings"]] == problems
    assert told.status == int(bool(problems))
    assert told.watched["stopped"]
    assert told.watched["steps"] == (0 if fault == "no step" else PREFLIGHT_ROUNDS)
    assert told.watched["exit_status"] == 0
    assert told.watched["not_checked"] == []
    assert not (doctor.folder / "finished").exists()


@pytest.mark.slow
def test_a_script_that_fails_before_its_first_step_fails_in_preflight_too(doctor):
    told = doctor.judge("net(torch.randn(8, 4))\n", "--preflight")
    assert told.status == 3
    assert told.watched["error"]["kind"] == "RuntimeError"


@pytest.mark.slow
def test_two_players_are_seen_for_as_many_rounds_as_one(doctor):
    code = """\
other = nn.Linear(3, 2)
more = torch.optim.SGD(other.parameters(), lr=0.1)
while True:
    step()
    more.zero_grad()
    loss_of(other(torch.randn(8, 3)), torch.arange(8) % 2).backward()
    more.step()
"""
    told = doctor.judge(code, "--preflight")
    assert told.watched["steps"] == 2 * PREFLIGHT_ROUNDS - 1  # a round ends with the first's step
    assert told.watched["stopped"]


def test_when_enough_was_seen():
    preflight, steps = Journal(None, preflight=True), Journal(None, 10)
    assert preflight.has_enough(PREFLIGHT_ROUNDS, PREFLIGHT_ROUNDS, PREFLIGHT_ROUNDS)
    assert preflight.has_enough(0, 0, PREFLIGHT_PASSES)
    assert not preflight.has_enough(1, 1, PREFLIGHT_PASSES)
    assert not preflight.has_enough(0, 0, PREFLIGHT_PASSES - 1)
    assert steps.has_enough(10, 5, 10)
    assert not steps.has_enough(9, 9, 1000)
