"""Networks that are computed from rows: against scikit-learn, and where each is the right one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import cluster, decomposition
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.metrics import adjusted_rand_score

from glial.core.errors import InputError
from glial.functional.clustering import neighbour_divergence, sharpened, soft_assignment
from glial.models.clusters import Clusters, Fits
from glial.models.dbscan import DBSCANSettings, steady_eps
from glial.models.deep_clustering import DeepClusteringSettings
from glial.models.hierarchical import HierarchicalSettings
from glial.models.kmeans import KMeansSettings
from glial.models.pca import PCASettings
from glial.models.tsne import TSNESettings
from glial.models.unlabelled import Encodes, Reconstructs, Unlabelled

ALL = (KMeansSettings, HierarchicalSettings, DBSCANSettings, PCASettings, TSNESettings)


@pytest.fixture(scope="module")
def flowers():
    rows = load_iris().data
    return torch.from_numpy((rows - rows.mean(0)) / rows.std(0)).float()


@pytest.fixture(scope="module")
def moons():
    rows, codes = make_moons(300, noise=0.05, random_state=0)
    return torch.from_numpy(rows).float(), codes


def fitted(settings, rows, weight=None):
    torch.manual_seed(0)
    settings = settings.for_data(len(rows), rows.shape[1])
    if hasattr(settings, "for_rows"):
        settings = settings.for_rows(rows, seed=0)
    network = settings.build(rows.shape[1])
    if hasattr(network, "start"):
        network.start(rows)
    for _ in range(100):
        if network.refine(rows, weight=weight).settled:
            return network.eval()
    raise AssertionError("it never settles")


@pytest.mark.parametrize("settings", ALL)
def test_they_keep_their_protocols(settings):
    network = settings().build(3)
    assert isinstance(network, Unlabelled)
    assert isinstance(network, Fits)
    assert isinstance(network, Clusters) == ("cluster" in settings.tasks)
    if "reduce" in settings.tasks:
        assert isinstance(network, Encodes)
    assert isinstance(network, Reconstructs) == (settings is PCASettings)


def test_kmeans_is_as_good_as_scikit_learns_best_of_ten(flowers):
    network = fitted(KMeansSettings(num_clusters=3), flowers)
    best = cluster.KMeans(3, n_init=10, random_state=0).fit(flowers.numpy())
    inertia = network.measure(flowers, generator=torch.Generator())["distance"].square().sum()
    assert inertia.item() == pytest.approx(best.inertia_, rel=1e-5)
    assert adjusted_rand_score(best.labels_, network.assign(flowers)) == 1.0
    expected = best.transform(flowers.numpy())[:, _same(network, best)]
    np.testing.assert_allclose(network.embed(flowers).numpy(), expected, atol=1e-4)


def _same(network, best):
    """Which of scikit-learn's centres is which."""
    gaps = np.linalg.norm(network.centres.numpy()[:, None] - best.cluster_centers_, axis=2)
    return gaps.argmin(axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [KMeansSettings, HierarchicalSettings])
def test_the_number_of_clusters_is_that_of_clear_groups(settings):
    generator = torch.Generator().manual_seed(0)
    middles = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
    rows = middles.repeat(30, 1) + torch.randn(120, 2, generator=generator)
    network = fitted(settings(), rows)
    assert network.settings.num_clusters == 4
    assert adjusted_rand_score(np.arange(120) % 4, network.assign(rows)) == 1.0


@pytest.mark.parametrize("linkage", ["ward", "complete", "average", "single"])
def test_the_tree_and_its_cuts_are_scikit_learns(flowers, linkage):
    network = fitted(HierarchicalSettings(num_clusters=3, linkage=linkage), flowers)
    for count in (3, 5):
        own = cluster.AgglomerativeClustering(count, linkage=linkage).fit(flowers.numpy())
        assert adjusted_rand_score(own.labels_, network.cut(count)) == 1.0
    assert torch.equal(network.assign(flowers), network.codes[network.nearest_kept(flowers)[1]])
    assert (network.heights.diff() >= -1e-5).all()


def test_dbscan_is_scikit_learns_and_new_rows_follow_the_nearest_core(moons):
    rows, _ = moons
    network = fitted(DBSCANSettings(eps=0.15, min_rows=5), rows)
    own = cluster.DBSCAN(eps=0.15, min_samples=5).fit(rows.double().numpy())
    assert network.codes.tolist() == own.labels_.tolist()
    assert network.cores.nonzero().flatten().tolist() == own.core_sample_indices_.tolist()
    assert torch.equal(network.assign(rows), network.codes)
    far = torch.tensor([[10.0, 10.0], [0.0, 1.05]])
    assert network.assign(far).tolist() == [-1, network.codes[network.nearest_kept(far)[1][1]]]


@pytest.mark.slow
def test_density_finds_moons_that_centres_cannot(moons):
    rows, codes = moons
    dense = adjusted_rand_score(codes, fitted(DBSCANSettings(), rows).assign(rows))
    central = adjusted_rand_score(codes, fitted(KMeansSettings(num_clusters=2), rows).assign(rows))
    single = HierarchicalSettings(num_clusters=2, linkage="single")
    assert dense > 0.95
    assert central < 0.6
    assert adjusted_rand_score(codes, fitted(single, rows).assign(rows)) == 1.0


def test_eps_is_where_a_little_more_or_less_does_not_matter(moons):
    rows = moons[0].double()
    eps, why = steady_eps(rows, 10)
    counts = []
    for factor in (0.9, 1.0, 1.1):
        fitted = cluster.DBSCAN(eps=factor * eps, min_samples=10).fit(rows.numpy())
        counts.append(fitted.labels_.max() + 1)
    assert counts == [2, 2, 2]
    assert why.startswith("2 clusters")
    assert steady_eps(torch.ones(20, 2).double(), 10) == (1.0, "rows that are the same")
    line = torch.arange(30)[:, None].double()
    assert steady_eps(line, 3) == (1.0, "where the distances to neighbour 2 bend")


def test_rows_far_from_all_others_are_noise_and_weights_are_neighbours(caplog):
    rows = torch.tensor([[0.0], [0.1], [5.0], [9.0]])
    settings = DBSCANSettings(eps=0.2, min_rows=2)
    assert fitted(settings, rows).codes.tolist() == [0, 0, -1, -1]
    assert fitted(settings, rows, torch.tensor([1.0, 1.0, 2.0, 1.0])).codes.tolist() == [
        0,
        0,
        1,
        -1,
    ]
    assert fitted(settings, rows[2:]).assign(rows).tolist() == [-1] * 4
    assert "every row is noise: set model.eps higher" in caplog.text


def test_components_are_scikit_learns_orthogonal_and_the_first_varies_most(flowers):
    network = fitted(PCASettings(num_components=2), flowers)
    own = decomposition.PCA(2).fit(flowers.double().numpy())
    np.testing.assert_allclose(network.components.numpy(), own.components_, atol=1e-5)
    np.testing.assert_allclose(network.embed(flowers).numpy(), own.transform(flowers), atol=1e-4)
    torch.testing.assert_close(network.components @ network.components.T, torch.eye(2))
    directions = torch.nn.functional.normalize(torch.randn(4, 50, dtype=torch.float64), dim=0)
    turned = (flowers.double() @ directions).var(dim=0)
    assert turned.max() <= network.variances[0] + 1e-5
    assert network.shares.sum().item() == pytest.approx(own.explained_variance_ratio_.sum())
    error = network.measure(flowers, generator=torch.Generator())["reconstruction_error"].mean()
    lost = flowers.double() - torch.from_numpy(own.inverse_transform(own.transform(flowers)))
    assert error.item() == pytest.approx(lost.square().mean().item(), rel=1e-5)


def test_as_few_components_as_hold_the_variance_that_is_asked_for(flowers):
    shares = decomposition.PCA().fit(flowers.numpy()).explained_variance_ratio_.cumsum()
    for variance in (0.5, 0.9, 0.99):
        network = fitted(PCASettings(variance=variance), flowers)
        assert len(network.components) == 1 + (shares < variance).sum()
    whitened = fitted(PCASettings(num_components=2, whiten=True), flowers).embed(flowers)
    torch.testing.assert_close(whitened.T.cov(), torch.eye(2), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_tsne_keeps_neighbours_and_says_that_it_has_no_map(flowers, caplog):
    network = fitted(TSNESettings(), flowers[::2])
    kept = network.measure(flowers[::2], generator=torch.Generator())["neighbours_kept"].mean()
    network.positions.copy_(network.positions[torch.randperm(75)])
    dealt = network.measure(flowers[::2], generator=torch.Generator())["neighbours_kept"].mean()
    assert kept > 0.5 > 0.25 > dealt
    assert torch.equal(network.embed(flowers[::2][:3]), network.positions[:3])
    assert "no map" not in caplog.text
    near = network.nearest_kept(flowers[1::2])[1]
    assert torch.equal(network.embed(flowers[1::2]), network.positions[near])
    assert caplog.text.count("t-SNE has no map for new rows") == 1


@pytest.mark.parametrize("settings", [HierarchicalSettings, TSNESettings, PCASettings])
def test_what_takes_every_row_alike_refuses_weights(settings, flowers):
    network = settings().for_data(150, 4).build(4)
    with pytest.raises(InputError, match="takes every row alike"):
        network.refine(flowers, weight=torch.ones(150))


def test_fewer_rows_than_clusters_are_refused(flowers):
    with pytest.raises(InputError, match="too few different rows for 3"):
        KMeansSettings(num_clusters=3).build(4).start(flowers[:2].repeat(5, 1))


def test_of_many_rows_some_are_kept_and_that_is_said(flowers, caplog):
    network = fitted(HierarchicalSettings(num_clusters=2, kept_rows=40), flowers)
    assert "fitted to 40 of 150 rows" in caplog.text
    assert len(network.rows) == 40
    full = fitted(HierarchicalSettings(num_clusters=2), flowers)
    assert adjusted_rand_score(full.assign(flowers), network.assign(flowers)) > 0.7


def deep(rows, epochs=60, batch_size=150, **settings):
    """The plainest training; centres are placed on the way."""
    torch.manual_seed(0)
    chosen = {"num_clusters": 3, "hidden_sizes": [32], "code_size": 2, **settings}
    network = DeepClusteringSettings(**chosen).build(rows.shape[1])
    network.start(rows)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for epoch in range(epochs):
        network.set_progress(epoch / epochs)
        for some in torch.randperm(len(rows)).split(batch_size):
            optimizer.zero_grad()
            network.loss(network(rows[some]), rows[some]).backward()
            optimizer.step()
    return network.eval()


def test_centres_are_placed_once_and_learn_from_then_on(flowers):
    torch.manual_seed(0)
    network = DeepClusteringSettings(num_clusters=3, code_size=2, hidden_sizes=[8]).build(4)
    network.start(flowers)
    with torch.no_grad():
        network.centres.add_(1.0)
    moved = network.centres.clone()
    network.set_progress(0.0)
    network.loss(network(flowers), flowers).backward()
    assert not network.centres.grad.any()
    assert torch.equal(network.centres, moved)
    network.set_progress(0.7)
    codes = network.embed(flowers).detach().double().numpy()
    own = cluster.KMeans(3, n_init=10, random_state=0).fit(codes)
    gaps = np.linalg.norm(network.centres.detach().numpy()[:, None] - own.cluster_centers_, axis=2)
    assert gaps.min(axis=1).max() < 1e-3
    network.loss(network(flowers), flowers).backward()
    assert network.centres.grad.any()
    placed = network.centres.clone()
    network.set_progress(0.9)
    assert torch.equal(network.centres, placed)


def test_the_loss_is_the_sum_of_its_three_parts(flowers):
    torch.manual_seed(0)
    settings = {"num_clusters": 3, "code_size": 2, "hidden_sizes": [8], "neighbour_weight": 2.0}
    network = DeepClusteringSettings(**settings, cluster_weight=0.3).build(4)
    network.set_progress(1.0)
    found = network(flowers)
    q = soft_assignment(network.embed(flowers), network.centres)
    p = sharpened(q.detach())
    given = network.reconstruct(flowers)
    expected = (
        (given - flowers).square().mean()
        + 2.0 * neighbour_divergence(flowers, found.codes, 5)
        + 0.3 * torch.nn.functional.kl_div(q.log(), p, reduction="batchmean")
    )
    torch.testing.assert_close(network.loss(found, flowers), expected)
    shares = network.measure(flowers, generator=torch.Generator())["probability"]
    torch.testing.assert_close(shares, q.amax(dim=1))
    assert torch.equal(network.assign(flowers), q.argmax(dim=1))


@pytest.fixture(scope="module")
def digits():
    pixels, classes = load_digits(return_X_y=True)
    return torch.from_numpy((pixels[:600] - 8) / 8).float(), classes[:600]


@pytest.mark.slow
def test_codes_that_keep_neighbours_fall_into_better_clusters_than_pixels(digits):
    rows, classes = digits
    settings = {"num_clusters": 10, "code_size": 8, "hidden_sizes": [128]}
    found, without, unpulled = (
        deep(rows, 40, 200, **settings, **changed)
        for changed in ({}, {"neighbour_weight": 0.0}, {"cluster_weight": 0.0})
    )
    central = fitted(KMeansSettings(num_clusters=10), rows)
    scores = [adjusted_rand_score(classes, one.assign(rows)) for one in (found, central, without)]
    assert scores[0] > scores[1] + 0.05
    assert scores[1] > scores[2]
    sure, unsure = (
        one.measure(rows, generator=torch.Generator())["probability"].mean()
        for one in (found, unpulled)
    )
    assert sure > unsure + 0.02
