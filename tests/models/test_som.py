"""Maps that order themselves: minisom's on its schedule, ordered ones, and ones that cannot be."""

import numpy as np
import pytest
import torch
from minisom import MiniSom
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from glial.core.errors import InputError
from glial.data import Batch
from glial.functional import adjacent_cells, map_places
from glial.models.clusters import Clusters
from glial.models.som import SOMSettings
from glial.models.unlabelled import Encodes, Reconstructs, Unlabelled
from glial.objectives import CompetitiveLearning
from glial.training import TrainSettings
from glial.training.schedules import Moment


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def fit(network, rows, epochs=20, lr=0.5, seed=0):
    """Full batches, radius and rate falling from step to step."""
    network.start(rows)
    learning, generator = CompetitiveLearning(network, TrainSettings(), lr), seeded(seed)
    for epoch in range(epochs):
        drawn = network.draw(rows, generator=generator)
        learning.step(Batch(drawn.inputs, drawn.target), Moment(epoch, epoch, epoch / epochs))
    return {k: v.mean().item() for k, v in network.measure(rows, generator=generator).items()}


def built(size, *, seed=0, **settings):
    torch.manual_seed(seed)
    return SOMSettings(**settings).build(size, 0)


@pytest.fixture(scope="module")
def digits():
    return torch.tensor(load_digits().data[:600] / 16, dtype=torch.float32)


def test_the_protocols_are_kept():
    network = built(3)
    assert isinstance(network, Unlabelled)
    assert isinstance(network, Encodes)
    assert isinstance(network, Clusters)
    assert isinstance(network, Reconstructs)


def test_one_row_a_batch_is_minisoms_training():
    rows, steps = np.random.default_rng(1).normal(size=(60, 4)), 180
    peer = MiniSom(5, 6, 4, sigma=2.5, learning_rate=0.4, random_seed=2)
    network = built(
        4,
        grid=[6, 5],
        topology="rectangular",
        learning="online",
        radius=2.5,
        radius_decay="asymptotic",
        rate_decay="asymptotic",
    ).double()
    first = peer.get_weights().swapaxes(0, 1).reshape(-1, 4)
    network.prototypes.data.copy_(torch.from_numpy(first.copy()))
    peer.train(rows, steps)
    learning = CompetitiveLearning(network, TrainSettings(), lr=0.4)
    for step in range(steps):
        row = torch.from_numpy(rows[step % 60][None])
        drawn = network.draw(row, generator=seeded())
        learning.step(Batch(drawn.inputs, drawn.target), Moment(step, 0, step / steps))
    wanted = peer.get_weights().swapaxes(0, 1).reshape(-1, 4)
    assert np.abs(network.prototypes.detach().numpy() - wanted).max() < 1e-12


@pytest.mark.parametrize("learning", ["batch", "online"])
@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
def test_maps_order_themselves(digits, learning, topology):
    settings = {"grid": [8, 8], "learning": learning, "topology": topology, "start": "rows"}
    network = built(64, **settings)
    found = fit(network, digits)
    assert found["topographic_error"] < 0.15
    mean = (digits - digits.mean(dim=0)).square().mean().item()
    assert found["reconstruction_error"] < 0.55 * mean
    # Cells side by side are alike: nearer than cells at large.
    apart = torch.cdist(network.prototypes, network.prototypes)
    assert apart[network.adjacent].mean() < 0.7 * apart.mean()


def test_places_keep_neighbours_that_two_components_do_not(digits):
    network = built(64, grid=[14, 14])
    fit(network, digits)
    places = network.embed(digits).numpy()
    plane = PCA(2).fit_transform(digits)
    on_map, in_plane = (trustworthiness(digits, part, n_neighbors=10) for part in (places, plane))
    assert on_map > 0.95 > in_plane + 0.05


def test_without_a_neighbourhood_there_is_no_order(digits):
    alone = {"radius": 0.01, "final_radius": 0.01, "start": "rows"}
    found = fit(built(64, grid=[8, 8], **alone), digits)
    assert found["topographic_error"] > 0.5


def test_the_plane_of_the_principal_components_is_a_start(digits):
    network = built(64, grid=[5, 9], topology="rectangular")
    network.start(digits)
    cells = network.prototypes.detach() - digits.mean(dim=0)
    axes = torch.linalg.svd(digits - digits.mean(dim=0), full_matrices=False)[2][:2]
    assert torch.allclose(cells @ axes.T @ axes, cells, atol=0.02)
    across = (cells @ axes[0]).reshape(5, 9)
    assert across.std(dim=1).min() > 10 * across.std(dim=0).max()


def test_online_order_is_drawn_and_weights_go_with_rows():
    rows, weight = torch.tensor([[0.0], [10.0]]), torch.tensor([1.0, 0.0])
    network = built(1, grid=[1, 2], learning="online", radius=0.1, final_radius=0.1)
    for seed in range(4):
        network.prototypes.data.copy_(torch.tensor([[1.0], [9.0]]))
        drawn = network.draw(rows, generator=seeded(seed))
        learning = CompetitiveLearning(network, TrainSettings(), lr=0.5)
        loss = learning.step(Batch(drawn.inputs, drawn.target, weight), Moment(0, 0, 0.0))
        assert network.prototypes.flatten().tolist() == [0.5, 9.0]
        assert loss.item() == 1.0
    orders = {tuple(network.draw(rows, generator=seeded(s)).inputs[1].tolist()) for s in range(4)}
    assert len(orders) == 2


def test_the_map_says_where_rows_lie_and_where_borders_are():
    network = built(1, grid=[2, 3], topology="hexagonal")
    network.prototypes.data.copy_(torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]))
    rows = torch.tensor([[10.2], [1.9]])
    assert network.assign(rows).tolist() == [3, 2]
    places = map_places(2, 3, "hexagonal")
    assert torch.allclose(network.embed(rows).double(), places[[3, 2]])
    borders = network.borders()
    assert borders.shape == (2, 3)
    adjacent = adjacent_cells(places, "hexagonal")[0]
    assert borders[0, 0].item() == pytest.approx(
        (network.prototypes[adjacent] - network.prototypes[0]).abs().mean().item()
    )


@pytest.mark.parametrize("grid", [[1, 1], [100, 100]])
def test_maps_of_no_use_or_no_end_are_refused(grid):
    with pytest.raises(InputError, match="too few cells or too many"):
        SOMSettings(grid=grid).build(3, 0)


@pytest.mark.parametrize(
    ("settings", "lr", "message"),
    [
        ({"schedule": "cosine"}, 0.5, "train.schedule does not go"),
        ({"weight_decay": 0.1}, 0.5, "train.weight_decay does not go"),
        ({}, 2.0, "a rate above 1"),
    ],
)
def test_what_maps_do_not_heed_is_refused(settings, lr, message):
    with pytest.raises(InputError, match=message):
        CompetitiveLearning(built(2), TrainSettings(**settings), lr)


def test_a_network_without_cells_is_refused():
    with pytest.raises(InputError, match="no cells"):
        CompetitiveLearning(torch.nn.Linear(1, 1), TrainSettings(), 0.5)
