"""What is only noted, or told with less: falling losses, attention, critics, scattered images."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glial.core.findings import Finding
from glial.doctor import Doctor, diagnose
from glial.doctor.evidence import (
    Evidence,
    LayerSeen,
    LossSeen,
    ModelSeen,
    OptimizerSeen,
    PlayersSeen,
    Series,
    TensorSeen,
)
from glial.doctor.measures import outcome


def told(evidence: Evidence, problem: str) -> list[Finding]:
    return [one for one in diagnose(evidence) if one.problem == problem]


def falling(start: float, end: float, steps: int, *, first: int = 1) -> Series:
    """A straight line from one value to another."""
    values = torch.linspace(start, end, steps).tolist()
    return Series([*range(first, first + steps)], values)


def trained(*losses: LossSeen) -> Evidence:
    optimizers = [
        OptimizerSeen(f"opt_{x.model}", "Adam", {"lr": 1e-3}, steps=len(x.value), model=x.model)
        for x in losses
    ]
    # Optimisers that step at one line are folds of one training.
    for number, optimizer in enumerate(optimizers):
        optimizer.kind = f"Adam{number}"
    models = [ModelSeen(x.model or "", "Net", calls={"train": 1}) for x in losses]
    return Evidence(steps=100, models=models, optimizers=optimizers, losses=[*losses])


@pytest.mark.parametrize(
    ("end", "steps", "severity"),
    [
        (2.2, 40, "warning"),  # next to nothing of 2.3 was learnt
        (1.4, 40, "note"),  # much was, and as much again is to come
        (1.4, 10, None),  # too short to tell
        (0.5, 40, None),
    ],
)
def test_a_loss_that_still_falls_is_noted_while_much_is_left(end, steps, severity):
    loss = LossSeen("cross_entropy", model="net", value=falling(2.3, end, steps), constant=2.3)
    found = told(trained(loss), "undertrained")
    assert [one.severity for one in found] == ([severity] if severity else [])


@pytest.mark.parametrize("in_turn", [True, False])
def test_networks_that_are_trained_in_turn_are_told_one_by_one(in_turn):
    teacher = LossSeen("cross_entropy", model="teacher", value=falling(2.3, 1.5, 40), constant=2.3)
    student = LossSeen(
        "kl_div", model="student", value=falling(2.3, 1.5, 40, first=41 if in_turn else 20)
    )
    found = told(trained(teacher, student), "undertrained")
    assert sorted(one.where or "" for one in found) == (["student", "teacher"] if in_turn else [])
    assert all(one.severity == "note" for one in found)


@pytest.mark.parametrize(("end", "skill"), [(-40.0, 0.0), (-90.0, 1.0)])
def test_of_densities_the_constant_answer_is_what_must_be_bettered(end, skill):
    loss = LossSeen("poisson_nll_loss", model="net", value=falling(300.0, end, 50), constant=-50.0)
    found = outcome(Evidence(losses=[loss]))
    assert found is not None
    assert (found.skill > 0) == (skill > 0)


class Attention(nn.Module):
    """One head by hand; what it compares is multiplied by a number."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.embed = nn.Embedding(9, 16)
        self.qkv = nn.Linear(16, 48)
        self.head = nn.Linear(16, 9)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(self.embed(tokens)).chunk(3, -1)
        attention = torch.softmax(q @ k.mT * self.scale, dim=-1)
        return self.head(attention @ v)


@pytest.mark.parametrize(("scale", "problems"), [(0.25, []), (400.0, ["saturated-units"])])
def test_attention_that_looks_at_one_place_from_the_start_is_told(scale, problems):
    torch.manual_seed(0)
    model = Attention(scale)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(12):
            tokens = torch.randint(9, (16, 8))
            loss = F.cross_entropy(model(tokens).transpose(1, 2), tokens.flip(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = [one for one in doctor.findings if one.problem == "saturated-units"]
    assert [one.problem for one in found] == problems
    assert all(one.evidence["saturated_share"] > 0.5 for one in found)


def criticised(answers: float, functions: list[str]) -> Evidence:
    """A critic whose answers spread so far, where rows of two numbers spread by 1."""
    evidence = trained(
        LossSeen("hand-written", model="maker", value=falling(1, 0.5, 40)),
        LossSeen(
            "hand-written",
            model="critic",
            value=falling(1, -9, 40),
            functions=functions,
            judges=0.01,
        ),
    )
    first, last = LayerSeen("0", "Linear", input_shape=[64, 2]), LayerSeen("2", "Linear")
    first.input_std, last.std = falling(1, 1, 10), falling(answers, answers, 10)
    evidence.models[1].layers = [first, last]
    evidence.players = [PlayersSeen("maker", "critic")]
    return evidence


@pytest.mark.parametrize(
    ("answers", "functions", "problems"),
    [
        (6.0, ["mean", "sub"], ["players-unbalanced"]),
        (1.0, ["mean", "sub"], []),
        (6.0, ["mean", "sub", "norm", "add"], []),  # a penalty
        (6.0, ["softplus", "mean", "add"], []),  # which is bounded
    ],
)
def test_a_critic_that_nothing_keeps_smooth_is_told(answers, functions, problems):
    found = told(criticised(answers, functions), "players-unbalanced")
    assert [one.problem for one in found] == problems
    if found:
        assert found[0].where == "critic"
        assert found[0].evidence["spread_of_rows"] == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    ("share", "severities"), [(1.3, []), (1.0, []), (0.9, ["note"]), (0.4, ["error"])]
)
def test_images_whose_channels_were_scattered_are_told(share, severities):
    loss = LossSeen("cross_entropy", model="net", value=falling(2.3, 0.1, 40), constant=2.3)
    evidence = trained(loss)
    seen = TensorSeen([32, 3, 16, 16], "float32", count=10, channels_last=share)
    evidence.models[0].inputs["train"] = [seen]
    found = told(evidence, "wrong-layout")
    assert [one.severity for one in found] == severities


class Recurrent(nn.Module):
    """Numbers in, one class out."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 8, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize("zeros", [True, False])
def test_recurrent_units_that_begin_equal_are_told(zeros):
    torch.manual_seed(0)
    model = Recurrent()
    if zeros:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(12):
            x = torch.randn(16, 5, 3)
            loss = F.cross_entropy(model(x), x[:, 0].argmax(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = [one.where for one in doctor.findings if one.problem == "symmetric-units"]
    assert found == (["rnn"] if zeros else [])


@pytest.mark.parametrize(("dim", "axes"), [(0, [1]), (1, [])])
def test_tables_in_a_batch_are_normalised_over_classes_and_not_over_rows(dim, axes):
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(12):
            x = torch.randn(16, 5, 3)
            outputs = torch.log_softmax(model(x).transpose(1, 2), dim=dim)
            loss = F.cross_entropy(outputs, x.argmax(2))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = [one.evidence["of"] for one in doctor.findings if one.problem == "wrong-axis"]
    assert found == axes
