"""What is measured, against values worked out by hand or by torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from glial.doctor.evidence import Evidence
from glial.doctor.watcher import Watcher


def watched(training) -> Evidence:
    watcher = Watcher(budget=math.inf)
    watcher.begin()
    try:
        training()
    finally:
        evidence = watcher.end()
    assert [note for note in evidence.not_checked if "failed" in note.why] == []
    return evidence


def test_gradients_updates_and_loss_of_a_line():
    """One weight, loss (w x - y)^2 with x = 2, y = 0: the gradient is 8 w, SGD multiplies w."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def training():
        for _ in range(3):
            optimizer.zero_grad()
            F.mse_loss(model(torch.full((4, 1), 2.0)), torch.zeros(4, 1)).backward()
            optimizer.step()

    evidence = watched(training)
    weight = evidence.models[0].parameters[0]
    assert weight.gradient.values == pytest.approx([8.0, 4.8, 2.88])
    assert weight.update.values == pytest.approx([0.4, 0.24, 0.144])
    assert evidence.losses[0].value.values == pytest.approx([4.0, 1.44, 0.5184])
    assert evidence.losses[0].value.steps == [1, 2, 3]
    assert evidence.optimizers[0].alignment.values == pytest.approx([1.0, 1.0, 1.0])
    assert (evidence.optimizers[0].kept_gradients, evidence.optimizers[0].cleared_gradients) == (
        0,
        2,
    )


def test_gradients_that_are_not_cleared_are_seen_and_accumulation_is_not_taken_for_it():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def training(clears: bool):
        def run():
            for _ in range(5):
                for _ in range(2):
                    model(torch.ones(3, 2)).square().mean().backward()
                optimizer.step()
                if clears:
                    optimizer.zero_grad()

        return run

    kept = watched(training(False)).optimizers[0]
    cleared = watched(training(True)).optimizers[0]
    assert (kept.kept_gradients, kept.cleared_gradients) == (4, 0)
    assert cleared.kept_gradients <= 1  # what the training before left
    assert set(cleared.backwards) == {2}


def test_inputs_targets_and_functions_of_a_loss_by_hand():
    x = torch.arange(12.0).reshape(6, 2)
    y = torch.tensor([0, 1, 0, 1, 1, 1])
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def training():
        for _ in range(3):
            optimizer.zero_grad()
            chance = torch.softmax(model(x), 1)
            (-torch.log(chance[torch.arange(6), y])).mean().backward()
            optimizer.step()

    evidence = watched(training)
    loss, inputs = evidence.losses[0], evidence.models[0].inputs["train"][0]
    assert loss.functions == ["softmax", "__getitem__", "log", "neg", "mean"]
    assert loss.name == "hand-written"
    assert (inputs.mean, inputs.min, inputs.max) == (5.5, 0.0, 11.0)
    assert inputs.means == [5.0, 6.0]
    assert inputs.stds == pytest.approx([math.sqrt(35 / 3)] * 2)


def test_the_sign_and_weight_of_a_loss_in_a_sum_of_several():
    model = nn.Linear(2, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def training():
        for _ in range(3):
            optimizer.zero_grad()
            outputs = model(torch.ones(4, 2))
            penalty = model.weight.square().sum()
            (-3 * F.cross_entropy(outputs, torch.tensor([0, 1, 2, 0])) + penalty).backward()
            optimizer.step()

    loss = watched(training).losses[0]
    assert (loss.name, loss.sign, loss.weight) == ("cross_entropy", -1.0, 3.0)
    assert loss.target is not None
    assert loss.target.counts == {"0": 6, "1": 3, "2": 3}
    shares = [1 / 2, 1 / 4, 1 / 4]
    assert loss.constant == pytest.approx(-sum(p * math.log(p) for p in shares))


def test_a_loader_tells_its_rows_and_whether_it_shuffles():
    data = TensorDataset(torch.randn(20, 2), torch.randn(20, 1))
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def training():
        for shuffle in (True, False):
            for x, y in DataLoader(data, batch_size=5, shuffle=shuffle):
                optimizer.zero_grad()
                F.mse_loss(model(x), y).backward()
                optimizer.step()

    found = [(s.rows, s.batch_size, s.shuffles, s.training) for s in watched(training).loaders]
    assert found == [(20, 5, True, True), (20, 5, False, True)]


def test_a_row_that_moves_with_another_is_seen_and_batch_normalisation_is_not_taken_for_it():
    class Mixed(nn.Module):
        def __init__(self, mixes: bool) -> None:
            super().__init__()
            self.mixes, self.linear, self.norm = mixes, nn.Linear(3, 2), nn.BatchNorm1d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.norm(self.linear(x))
            return out - out.mean(0) if self.mixes else out

    shares = []
    for mixes in (True, False):
        model = Mixed(mixes)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)

        def training(model=model, optimizer=optimizer):
            for _ in range(4):
                optimizer.zero_grad()
                F.cross_entropy(model(torch.randn(8, 3)), torch.randint(0, 2, (8,))).backward()
                optimizer.step()

        probe = watched(training).probe("rows")
        assert probe is not None
        shares.append(probe.numbers["others"])
    assert shares == [1.0, 0.0]


def test_a_round_made_again_gives_the_same_loss_in_spite_of_dropout():
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def training():
        for _ in range(4):
            x = torch.randn(8, 4)
            optimizer.zero_grad()
            F.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
            optimizer.step()

    numbers = watched(training).probe("repeat").numbers
    assert numbers["again"] == numbers["loss"]


def test_the_loss_along_a_step_is_that_of_the_parabola():
    """(w - 1)^2 from w = 0 with rate 1/4: a step goes half the way, and twice it to the bottom."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)

    def training():
        for _ in range(5):
            optimizer.zero_grad()
            (model(torch.ones(2, 1)) - 1).square().mean().backward()
            optimizer.step()

    line = watched(training).optimizers[0].line[0]
    start = 0.25**4  # the fifth round, after four halvings of the distance
    shape = [(1 - multiple / 2) ** 2 for multiple in line.multiples]
    assert line.step == 5
    assert line.losses == pytest.approx([start * value for value in shape])
    assert (line.before, line.after) == pytest.approx((start, start / 4))


class Keeps(nn.Module):
    """A network that keeps what it last gave, with the graph behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3, 1)
        self.kept: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.kept = [self.line(x).squeeze(1)]
        return self.kept[0]


class CannotBeCopied(Keeps):
    """A network that nothing can be tested on."""

    def __deepcopy__(self, memo: dict[int, object]) -> Keeps:
        raise TypeError("not to be copied")


def descend(model: nn.Module, rounds: int) -> Evidence:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x = torch.randn(8, 3)

    def training():
        for _ in range(rounds):
            optimizer.zero_grad()
            F.mse_loss(model(x), x.sum(1)).backward()
            optimizer.step()

    return watched(training)


def test_a_network_that_keeps_its_last_outputs_is_tested_as_others_are():
    evidence = descend(Keeps(), 6)
    assert [probe.name for probe in evidence.probes] == ["repeat", "modes", "rows", "one_batch"]
    assert evidence.probe("rows").numbers["others"] == 0.0
    assert len(evidence.optimizers[0].line) == 1
    assert evidence.not_checked == []


def test_a_round_that_cannot_be_tested_keeps_no_other_looked_at():
    evidence = descend(CannotBeCopied(), 300)
    assert "cannot be copied" in evidence.not_checked[0].why
    assert evidence.sampled < 100


def test_a_test_that_there_is_no_time_for_is_told(monkeypatch):
    monkeypatch.setattr("glial.doctor.probes.rounds.MOST_SECONDS", 1e6)
    monkeypatch.setattr("glial.doctor.probes.rounds.A_STEP", 1e9)
    evidence = descend(Keeps(), 6)
    assert [probe.name for probe in evidence.probes] == ["repeat", "modes", "rows"]
    assert [note.problem for note in evidence.not_checked] == ["misaligned-labels"]


@pytest.mark.slow
@pytest.mark.parametrize("clips", [False, True])
def test_an_evaluation_is_seen_after_many_steps_that_clip(clips):
    """Clipping switches gradients off in every step, which is no evaluation."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(40, 3), torch.randint(0, 2, (40,))

    def training():
        for rows in torch.arange(40).repeat(20).split(8):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            if clips:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        with torch.no_grad():
            (model(x).argmax(1) == y).float().mean()

    evidence = watched(training)
    assert evidence.models[0].calls["eval"] == 1
    assert evidence.rows.eval_accuracy == pytest.approx(
        float((model(x).argmax(1) == y).float().mean())
    )


@pytest.mark.slow
def test_a_long_preparation_of_data_leaves_room_for_the_first_round():
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def training():
        x = torch.stack([torch.ones(1) * number for number in range(4000)])
        for _ in range(3):
            optimizer.zero_grad()
            F.mse_loss(model(x[:8]), x[:8]).backward()
            optimizer.step()

    evidence = watched(training)
    assert evidence.losses[0].model == evidence.models[0].name
    assert evidence.probe("repeat") is not None


def test_how_much_of_amounts_the_network_explained():
    """Answers of 0 explain nothing of targets -1 and 1, answers that equal them all."""
    model = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).repeat(20, 1)

    def training(weight: float):
        def run():
            F.mse_loss(model(x), x[:, :1]).backward()
            optimizer.step()
            with torch.no_grad():
                model.weight[0, 0] = weight
            model.eval()
            with torch.no_grad():
                ((model(x) - x[:, :1]) ** 2).mean()

        return run

    assert watched(training(0.0)).rows.eval_fit == pytest.approx(0.0)
    assert watched(training(1.0)).rows.eval_fit == pytest.approx(1.0)
