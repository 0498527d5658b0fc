"""Self-organising maps beside minisom, whose draws and schedules they are given."""

import platform

import numpy as np
import pytest
import torch
from minisom import MiniSom

from glial.functional import (
    adjacent_cells,
    batch_map_step,
    competitive_kernels,
    faded,
    map_influence,
    map_places,
    online_map_steps,
    self_organizing,
    topographic_errors,
    u_matrix,
    winners,
)

HEIGHT, WIDTH, SIZE, ROWS = 7, 6, 5, 120
KINDS = [("rectangular", "gaussian"), ("rectangular", "bubble"), ("hexagonal", "gaussian")]
# Glial's names of how minisom's rate and radius fall.
DECAYS = {
    "asymptotic": ("asymptotic_decay", "asymptotic_decay"),
    "linear": ("linear_decay_to_zero", "linear_decay_to_one"),
    "inverse": ("inverse_decay_to_zero", "inverse_decay_to_one"),
}
RATE_ENDS = {"asymptotic": 0.0, "linear": 0.0, "inverse": 0.5 / 101}


def theirs(topology="rectangular", kind="gaussian", decay="linear", seed=3):
    rate, radius = DECAYS[decay]
    return MiniSom(
        *(WIDTH, HEIGHT, SIZE, 3.0, 0.5),
        topology=topology,
        neighborhood_function=kind,
        decay_function=rate,
        sigma_decay_function=radius,
        random_seed=seed,
    )


def as_ours(values):
    """Minisom's numbers of columns and rows, as those of cells."""
    return torch.from_numpy(values.swapaxes(0, 1).reshape(-1, *values.shape[2:]).copy())


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(ROWS, SIZE))


@pytest.fixture(params=["compiled", "plain"])
def way(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(self_organizing, "find_competitive_kernels", lambda _: None)


@pytest.mark.parametrize(("topology", "kind"), KINDS)
@pytest.mark.parametrize("decay", DECAYS)
def test_online_learning_is_minisoms(rows, topology, kind, decay, way):
    peer, steps = theirs(topology, kind, decay), 150
    cells = as_ours(peer.get_weights())
    random = np.random.RandomState(3)
    random.rand(WIDTH, HEIGHT, SIZE)  # what its first vectors took
    order = np.arange(steps) % ROWS
    random.shuffle(order)
    peer.train(rows, steps, random_order=True)
    shares = [step / steps for step in range(steps)]
    radii = [faded(3.0, 1.0, share, decay) for share in shares]
    rates = [faded(0.5, RATE_ENDS[decay], share, decay) for share in shares]
    online_map_steps(
        cells,
        torch.from_numpy(rows[order]),
        map_places(HEIGHT, WIDTH, topology),
        *(torch.tensor(part, dtype=torch.float64) for part in (radii, rates)),
        kind,
    )
    assert torch.allclose(cells, as_ours(peer.get_weights()), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("topology", "kind"), KINDS)
def test_batch_learning_is_minisoms(rows, topology, kind):
    peer, epochs = theirs(topology, kind), 4
    cells, all_rows = as_ours(peer.get_weights()), torch.from_numpy(rows)
    peer.train_batch_offline(rows, epochs)
    places = map_places(HEIGHT, WIDTH, topology)
    for epoch in range(epochs):
        near = map_influence(places, faded(3.0, 1.0, epoch / epochs, "linear"), kind)
        rate = faded(0.5, 0.0, epoch / epochs, "linear")
        cells, _ = batch_map_step(cells, all_rows, near, rate)
    assert torch.allclose(cells, as_ours(peer.get_weights()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
def test_errors_and_borders_are_minisoms(rows, topology):
    peer = theirs(topology)
    peer.train(rows, 200)
    cells, all_rows = as_ours(peer.get_weights()), torch.from_numpy(rows)
    adjacent = adjacent_cells(map_places(HEIGHT, WIDTH, topology), topology)
    found = winners(all_rows, cells, count=2)
    distance = found.squares[:, 0].sqrt().mean()
    assert distance.item() == pytest.approx(peer.quantization_error(rows), rel=1e-12)
    apart = topographic_errors(found.cells, adjacent).mean()
    assert apart.item() == pytest.approx(peer.topographic_error(rows), abs=1e-6)
    borders = u_matrix(cells, adjacent)
    scaled = as_ours(peer.distance_map(scaling="mean"))
    assert torch.allclose(borders / borders.max(), scaled, rtol=1e-12)


@pytest.mark.parametrize(("topology", "kind"), KINDS)
def test_influences_that_are_kept_are_those_of_each_radius(rows, topology, kind, monkeypatch):
    places, all_rows = map_places(HEIGHT, WIDTH, topology), torch.from_numpy(rows)
    radii = torch.tensor([3.0, 2.0, 1.5], dtype=torch.float64).repeat_interleave(ROWS // 3)
    found = []
    for plain in (False, True):
        if plain:
            monkeypatch.setattr(self_organizing, "find_competitive_kernels", lambda _: None)
        cells = as_ours(theirs().get_weights())
        squares = online_map_steps(cells, all_rows, places, radii, 0.1 * radii, kind)
        found.append(torch.cat([cells.flatten(), squares]))
    assert torch.allclose(*found, rtol=0, atol=1e-12)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="this is how those processors count")
def test_numbers_too_small_for_their_usual_form_are_not_made():
    places, cells = map_places(1, 3), torch.full((3, 1), 1e-36)
    rows, steps = torch.zeros(200, 1), torch.full((200,), 0.1)
    if competitive_kernels.find_competitive_kernels(cells) is None:
        pytest.skip("there is no compiler")
    online_map_steps(cells, rows, places, 10 * steps, steps)
    assert cells[0] == 0
    assert ((cells == 0) | (cells >= torch.finfo(torch.float32).tiny)).all()
    assert torch.tensor(1e-40).mul(0.5).item() > 0  # elsewhere they are as they were


def test_winners_are_found_in_parts_as_at_once(rows, monkeypatch):
    cells, all_rows = torch.randn(30, SIZE, dtype=torch.float64), torch.from_numpy(rows)
    whole = torch.cdist(all_rows, cells).topk(2, dim=1, largest=False)
    monkeypatch.setattr(self_organizing, "DISTANCES_AT_ONCE", 100)
    found = winners(all_rows, cells, count=2)
    assert torch.equal(found.cells, whole.indices)
    assert torch.allclose(found.squares.sqrt(), whole.values, rtol=1e-9)


def test_a_row_of_weight_two_counts_as_two_rows(rows):
    cells, all_rows = torch.randn(12, SIZE, dtype=torch.float64), torch.from_numpy(rows)
    near = map_influence(map_places(3, 4), 1.0)
    weight = torch.ones(ROWS, dtype=torch.float64)
    weight[:20] = 2
    twice = torch.cat([all_rows, all_rows[:20]])
    weighed, _ = batch_map_step(cells, all_rows, near, 0.7, weight)
    assert torch.allclose(weighed, batch_map_step(cells, twice, near, 0.7)[0], rtol=1e-12)


def test_cells_that_no_row_reaches_stay():
    cells = torch.tensor([[0.0], [1.0], [50.0]])
    moved, _ = batch_map_step(cells, torch.tensor([[0.2], [0.9]]), torch.eye(3))
    assert torch.allclose(moved, torch.tensor([[0.2], [0.9], [50.0]]))


def test_float_kernels_are_near_the_double_ones(rows):
    places, cells = map_places(HEIGHT, WIDTH), torch.randn(HEIGHT * WIDTH, SIZE)
    exact, all_rows = cells.double(), torch.from_numpy(rows)
    radii, rates = torch.full((ROWS,), 1.5), torch.full((ROWS,), 0.2)
    found = online_map_steps(cells, all_rows.float(), places, radii, rates)
    online_map_steps(exact, all_rows, places, radii.double(), rates.double())
    assert torch.allclose(cells.double(), exact, atol=1e-4)
    assert found.dtype == torch.float32
