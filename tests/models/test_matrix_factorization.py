"""Factorised ratings beside alternating least squares, levels alone, and the mean."""

import itertools

import numpy as np
import polars as pl
import pytest
import torch

import glial
from glial.core.errors import InputError
from glial.models.matrix_factorization import MatrixFactorizationSettings
from glial.training.optimizers import add_l2_gradient, make_optimizer
from glial.training.settings import TrainSettings

USERS, THINGS = 120, 80


def ratings(seed=0, *, share=0.4, noise=0.3, rank=2):
    """Users, things and what they are given: levels, products of two numbers each, and noise."""
    random = np.random.default_rng(seed)
    users, things = random.normal(size=(USERS, rank)), random.normal(size=(THINGS, rank))
    levels = 3 + 0.5 * random.normal(size=(USERS, 1)) + 0.5 * random.normal(size=(1, THINGS))
    user, thing = np.nonzero(random.random((USERS, THINGS)) < share)
    order = random.permutation(len(user))
    user, thing = user[order], thing[order]
    given = (levels + users @ things.T)[user, thing]
    return user, thing, given + noise * random.normal(size=len(user))


def solved(user, thing, given, *, rank, ridge, rounds=200):
    """Alternating least squares: levels and vectors of users, then of things, exactly."""
    random, mean = np.random.default_rng(0), given.mean()
    sides = [
        np.c_[0.1 * random.normal(size=(count, rank)), np.zeros(count)] for count in (USERS, THINGS)
    ]
    there, values = np.zeros((USERS, THINGS)), np.zeros((USERS, THINGS))
    there[user, thing], values[user, thing] = 1.0, given
    for _ in range(rounds):
        for side, (mask, cells) in enumerate([(there, values), (there.T, values.T)]):
            other = sides[1 - side]
            design = np.c_[other[:, :rank], np.ones(len(other))]
            rest = mask * (cells - mean - other[:, rank])
            products = (design[:, :, None] * design[:, None]).reshape(len(other), -1)
            gram = (mask @ products).reshape(-1, rank + 1, rank + 1) + ridge * np.eye(rank + 1)
            sides[side] = np.linalg.solve(gram, (rest @ design)[:, :, None])[:, :, 0]
        mean = float(np.mean(given - told(0.0, sides, user, thing)))
    return mean, sides


def told(mean, sides, user, thing):
    users, things = sides[0][user], sides[1][thing]
    return mean + users[:, -1] + things[:, -1] + (users[:, :-1] * things[:, :-1]).sum(axis=1)


@pytest.mark.slow
def test_alternating_least_squares_end_where_the_gradient_is_nothing():
    user, thing, given = ratings(share=0.2)
    ridge, count = 2.0, len(given)
    (mean, sides), settings = solved(user, thing, given, rank=2, ridge=ridge), TrainSettings()
    network = MatrixFactorizationSettings(size=2).build(0, 1, [USERS + 1, THINGS + 1]).double()
    with torch.no_grad():
        network.bias.fill_(mean)
        for level, vectors, side in zip(network.levels, network.vectors, sides, strict=True):
            level.weight[1:] = torch.from_numpy(side[:, -1:])
            vectors.weight[1:] = torch.from_numpy(side[:, :-1])
    codes, target = torch.from_numpy(np.c_[user, thing] + 1), torch.from_numpy(given)
    optimizer = make_optimizer(network, settings, 0.1)

    def gradient():
        optimizer.zero_grad()
        outputs = network(torch.empty(count, 0, dtype=torch.float64), codes)[:, 0]
        (outputs - target).square().mean().backward()
        add_l2_gradient(optimizer, ridge / count)
        return max(part.grad.abs().max().item() for part in network.parameters())

    assert gradient() < 1e-5
    with torch.no_grad():
        network.vectors[0].weight[1:] += 0.1
    assert gradient() > 1e-3


def test_every_two_of_several_categories_multiply():
    torch.manual_seed(0)
    network = MatrixFactorizationSettings(size=3).build(2, 1, [3, 4, 5])
    for part in network.parameters():
        torch.nn.init.normal_(part)
    numbers, codes = torch.randn(6, 2), torch.randint(0, 3, (6, 3))
    found = network(numbers, codes)[:, 0]
    for row in range(6):
        of = [vectors.weight[codes[row, place]] for place, vectors in enumerate(network.vectors)]
        wanted = network.bias + network.numbers.weight[0] @ numbers[row]
        wanted = wanted + sum(one @ other for one, other in itertools.combinations(of, 2))
        wanted = wanted + sum(v.weight[codes[row, n], 0] for n, v in enumerate(network.levels))
        assert found[row].item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.slow
def test_products_of_vectors_know_what_levels_do_not():
    user, thing, given = ratings()
    kept = slice(-600, None)
    frame = pl.DataFrame(
        {"user": [f"u{n}" for n in user], "thing": [f"t{n}" for n in thing], "stars": given}
    )
    run = glial.train(
        frame[:-600],
        "stars",
        model="matrix_factorization",
        epochs=20,
        out=False,
        set={"model.size": 2, "doctor.watch": False},
    )

    def peer_error(rank):
        first = [part[:-600] for part in (user, thing, given)]
        solution = solved(*first, rank=rank, ridge=1.0, rounds=30)
        return np.sqrt(np.mean((told(*solution, user[kept], thing[kept]) - given[kept]) ** 2))

    error = glial.evaluate(run, frame[kept])["metrics"]["rmse"]
    assert error < 1.25 * peer_error(2)  # which learnt from validation and test rows too
    assert error < 0.5 * peer_error(0)
    # Whom training never showed is told by the thing's level alone.
    names = ["somebody else", "nobody"]
    strangers = frame[:2].with_columns(user=pl.Series(names), thing=pl.lit("t1"))
    first, second = glial.predict(run, strangers)["prediction"]
    assert first == second
    for vectors in run.model.vectors:
        torch.nn.init.zeros_(vectors.weight)
    assert glial.evaluate(run, frame[kept])["metrics"]["rmse"] > 0.9 * peer_error(0)


@pytest.mark.slow
def test_users_that_are_numbered_must_be_said_to_be_names():
    user, thing, given = ratings(share=0.1)
    frame = pl.DataFrame({"user": user, "thing": thing, "stars": given})
    options = {"model": "matrix_factorization", "epochs": 1, "out": False}
    with pytest.raises(InputError, match="needs columns of categories") as error:
        glial.train(frame, "stars", **options)
    assert "data.types.COLUMN=category" in str(error.value)
    types = {"data.types": {"user": "category", "thing": "category"}}
    run = glial.train(frame, "stars", set=types, **options)
    assert len(run.model.vectors) == 2
