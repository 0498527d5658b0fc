"""Players, codes and embeddings: what is seen of them, and what is said of it."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glial.doctor import Doctor, diagnose
from glial.doctor.evidence import (
    CodeSeen,
    EmbeddingSeen,
    Evidence,
    ModelSeen,
    OptimizerSeen,
    PlayersSeen,
    Series,
)
from glial.doctor.watching.players import missed_share

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def series(*values, last=1000):
    steps = torch.linspace(1, last, len(values)).long().tolist()
    return Series(steps, [float(value) for value in values])


def told(evidence):
    return {finding.problem for finding in diagnose(evidence)}


def played(told_apart=0.7, variety=1.0, missed=0.0, since=900, rates=(1e-3, 2e-3), norm=1.0):
    """Evidence of two players."""
    names = ("generator", "judge")
    optimizers = [
        OptimizerSeen(f"{name}_optimizer", "Adam", {"lr": lr}, steps=1000, model=name)
        for name, lr in zip(names, rates, strict=True)
    ]
    for taken in ("norm", "norm_before"):
        setattr(optimizers[0], taken, series(*torch.logspace(0, math.log10(norm), 12).tolist()))
    seen = PlayersSeen(*names, missed=missed, rows=256, since=since)
    seen.told_apart, seen.variety = series(*[told_apart] * 12), series(*[variety] * 12)
    models = [ModelSeen(name, "Sequential") for name in names]
    return Evidence(steps=1000, models=models, optimizers=optimizers, players=[seen])


@pytest.mark.parametrize(
    ("seen", "problems"),
    [
        ({}, set()),
        ({"missed": 0.13}, set()),
        ({"missed": 0.25}, {"mode-collapse"}),
        # What was made in the first half of the training says nothing of its end.
        ({"missed": 0.9, "since": 200}, set()),
        ({"variety": 0.1}, {"mode-collapse"}),
        ({"rates": (1e-3, 1e-5)}, {"players-unbalanced"}),
        ({"rates": (1e-5, 1e-3)}, {"players-unbalanced"}),
        # A judge that is right learns something that the generator can follow.
        ({"told_apart": 1.0}, set()),
        ({"told_apart": 1.0, "norm": 1e-3}, {"players-unbalanced"}),
        ({"told_apart": 1.0, "missed": 0.6}, {"players-unbalanced", "mode-collapse"}),
    ],
)
def test_players(seen, problems):
    assert told(played(**seen)) == problems


def test_a_short_game_is_not_judged():
    evidence = played(variety=0.01, missed=0.9)
    for each in (evidence.players[0].told_apart, evidence.players[0].variety):
        each.steps = [step // 20 for step in each.steps]
    assert told(evidence) == set()


@pytest.mark.parametrize(
    ("nats", "active", "collapses"),
    [
        ([3.0] * 9, 1.0, False),
        ([3.0, 1.0, 0.3, 0.02, 0.01, 0.01], 0.0, True),
        # One unit that says something is a code.
        ([3.0, 1.0, 0.3, 0.09, 0.09, 0.09], 0.25, False),
        # Many begin with nothing, and find something to say.
        ([0.09, 0.03, 0.001, 0.002, 0.01, 0.06], 0.0, False),
    ],
)
def test_codes(nats, active, collapses):
    seen = CodeSeen("vae", units=8, active=series(*[active] * len(nats)), divergence=series(*nats))
    evidence = Evidence(steps=1000, models=[ModelSeen("vae", "VAE")], codes=[seen])
    assert told(evidence) == ({"posterior-collapse"} if collapses else set())


@pytest.mark.parametrize(
    ("seen", "collapses"),
    [
        ({}, False),
        ({"varied": [0.5, 0.2, 0.02, 0.01, 0.01, 0.01]}, True),
        ({"std": [1.0, 0.5, 0.1, 0.01, 0.01, 0.01]}, True),
        # The loss does not see the length.
        ({"std": [1.0, 0.5, 0.1, 0.01, 0.01, 0.01], "normalised": True}, False),
        ({"dimensions": [20, 10, 5, 1.2, 1.1, 1.1]}, True),
        # Rows that do not differ themselves.
        ({"varied": [0.01] * 6, "input_dimensions": [1.0] * 6}, False),
    ],
)
def test_embeddings(seen, collapses):
    usual = {"varied": [0.6] * 6, "std": [1.0] * 6, "dimensions": [20] * 6}
    values = {"input_dimensions": [30] * 6, "normalised": False, **usual, **seen}
    known = {k: v if k == "normalised" else series(*v) for k, v in values.items()}
    evidence = Evidence(steps=1000, embeddings=[EmbeddingSeen("net", units=32, **known)])
    assert told(evidence) == ({"representation-collapse"} if collapses else set())


def ring(rows, modes=8, noise=0.05):
    generator = torch.Generator().manual_seed(rows)
    angles = torch.randint(modes, (rows,), generator=generator) * math.tau / 8
    centres = 2 * torch.stack([angles.cos(), angles.sin()], 1)
    return centres + noise * torch.randn(rows, 2, generator=generator)


def test_missed_kinds_are_those_of_which_nothing_was_made():
    for modes in (8, 7, 6, 4, 1):
        assert missed_share(ring(512), ring(256, modes)) == pytest.approx(1 - modes / 8, abs=0.07)
    # Rows between the kinds are bad, and leave none out.
    assert missed_share(ring(512), ring(256, noise=0.4)) == 0.0
    assert math.isnan(missed_share(ring(512), ring(100)))


def test_rows_without_kinds_are_looked_at_by_their_neighbours():
    generator = torch.Generator().manual_seed(0)
    real, made = (torch.randn(rows, 4, generator=generator) for rows in (512, 256))
    assert missed_share(real, made) == 0.0
    half = made[made[:, 0] > 0.3]
    half = torch.cat([half, half, half, half])
    assert 0.15 < missed_share(real, half) < 0.7
    assert missed_share(real, made + 0.3 * torch.randn(256, 4, generator=generator)) < 0.05


@pytest.mark.slow
def test_what_a_judge_says_of_real_and_made_rows_is_seen_in_any_order():
    torch.manual_seed(0)
    generator, judge = nn.Linear(2, 2), nn.Linear(2, 1)
    first = torch.optim.SGD(judge.parameters(), lr=0.0)
    second = torch.optim.SGD(generator.parameters(), lr=0.0)
    real = 3 + torch.randn(16, 2)
    with torch.no_grad():
        judge.weight.fill_(1.0)
        generator.weight.fill_(0.5)

    def apart():
        F.softplus(-judge(real)).mean().backward()
        F.softplus(judge(generator(torch.randn(16, 2)).detach())).mean().backward()

    def joined():
        both = torch.cat([real, generator(torch.randn(16, 2)).detach()])
        F.softplus(judge(both)).mean().backward()

    def without_gradients():
        with torch.no_grad():
            made = generator(torch.randn(16, 2))
        (judge(made).mean() - judge(real).mean()).backward()

    for judged in (apart, joined, without_gradients):
        with Doctor.watch(generator, judge) as doctor:
            for _ in range(4):
                judged()
                first.step()
                F.softplus(-judge(generator(torch.randn(16, 2)))).mean().backward()
                second.step()
        (seen,) = doctor.evidence.players
        assert (seen.maker, seen.judge) == ("generator", "judge")
        assert seen.told_apart.last > 0.99
        # Both numbers of a made row are the same: its spread is by hand about sqrt(2) / 2 of it.
        assert 0.2 < seen.variety.last < 0.9


def test_one_network_that_is_asked_twice_is_no_player():
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Doctor.watch(net) as doctor:
        for _ in range(3):
            optimizer.zero_grad()
            (net(torch.randn(16, 2)) - net(torch.randn(16, 2))).square().mean().backward()
            optimizer.step()
    assert doctor.evidence.players == doctor.evidence.codes == doctor.evidence.embeddings == []


@pytest.mark.parametrize(("penalty", "added"), [(0.0, False), (5.0, True)])
def test_the_other_half_of_what_a_judge_is_asked_is_no_penalty(penalty, added):
    torch.manual_seed(0)
    judge = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(judge.parameters(), lr=0.01)
    loss_of = nn.BCEWithLogitsLoss()
    with Doctor.watch(judge, optimizer) as doctor:
        for _ in range(6):
            loss = loss_of(judge(torch.randn(16, 2)), torch.ones(16, 1))
            if penalty:
                loss = loss + penalty * sum(p.abs().sum() for p in judge.parameters())
            else:
                loss = loss + loss_of(judge(torch.randn(16, 2) + 1), torch.zeros(16, 1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    (seen,) = doctor.evidence.losses
    assert (seen.added_at is not None) == added


def test_noise_that_is_added_to_rows_is_no_code():
    net = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Doctor.watch(net) as doctor:
        for _ in range(3):
            rows = torch.randn(16, 4)
            optimizer.zero_grad()
            F.mse_loss(net(rows + 0.1 * torch.randn_like(rows)), rows).backward()
            optimizer.step()
    assert doctor.evidence.codes == []


def test_the_divergence_of_codes_is_that_of_the_formula():
    torch.manual_seed(0)
    net, decoder = nn.Linear(4, 6), nn.Linear(3, 4)
    optimizer = torch.optim.SGD([*net.parameters(), *decoder.parameters()], lr=0.0)
    rows = torch.randn(16, 4)
    with Doctor.watch(net) as doctor:
        for _ in range(2):
            mean, log_variance = net(rows).chunk(2, dim=1)
            code = torch.distributions.Normal(mean, (log_variance / 2).exp()).rsample()
            optimizer.zero_grad()
            F.mse_loss(decoder(code), rows).backward()
            optimizer.step()
    (seen,) = doctor.evidence.codes
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    nats = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    assert seen.divergence.last == pytest.approx(nats.sum(1).mean().item(), rel=1e-4)
    assert (seen.model, seen.units) == ("net", 3)


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("collapse")
    del sys.modules["collapse"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shorter"),
    [
        ("vae: distributions", {"epochs": 12}),
        ("vae: heavy divergence", {"epochs": 12}),
        ("views: simclr, joined batches", {"epochs": 12}),
        ("views: invariance alone", {"epochs": 25}),
        ("gan", {"steps": 500}),
        ("gan: a few kinds", {"steps": 500}),
        ("gan: judge wins", {"steps": 150}),
    ],
)
def test_planted_faults_are_found_and_healthy_trainings_are_silent(bench, name, shorter):
    case = next(case for case in bench.CASES if case.name == name)
    for key, value in shorter.items():
        setattr(case.train, key, value)
    found = bench.told(case.train(0))
    assert found == set() if case.problem is None else case.problem in found
