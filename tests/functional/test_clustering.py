"""Clusters against scikit-learn, SciPy, loops and values by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from glial.functional import clustering
from glial.functional.clustering import (
    cut_tree,
    knee,
    lloyd_step,
    log_soft_assignment,
    matched_accuracy,
    nearest_centres,
    neighbour_divergence,
    sharpened,
    silhouette,
    soft_assignment,
)
from glial.functional.planes import laid_out


def drawn(rows: int, numbers: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, numbers, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module")
def flowers() -> torch.Tensor:
    return torch.from_numpy(load_iris().data)


def test_steps_lead_where_scikit_learns_lead_and_the_inertia_never_rises(flowers):
    start = flowers[[0, 60, 70, 140]]
    fitted = KMeans(4, init=start.numpy(), n_init=1, algorithm="lloyd", tol=0).fit(flowers.numpy())
    centres, inertia = start, []
    for _ in range(fitted.n_iter_ + 1):
        centres, squared, codes = lloyd_step(flowers, centres)
        inertia.append(squared.sum().item())
    assert all(later <= earlier for earlier, later in itertools.pairwise(inertia))
    assert inertia[-1] == pytest.approx(fitted.inertia_)
    np.testing.assert_allclose(centres.numpy(), fitted.cluster_centers_)
    assert codes.tolist() == fitted.labels_.tolist()


def test_weights_count_as_often_as_rows_repeated(flowers):
    counts = torch.arange(150) % 3
    repeated = lloyd_step(flowers.repeat_interleave(counts, dim=0), flowers[:5])
    weighted = lloyd_step(flowers, flowers[:5], counts.double())
    torch.testing.assert_close(weighted.centres, repeated.centres)


def test_an_empty_cluster_takes_the_farthest_row():
    rows = torch.tensor([[0.0], [1.0], [2.0], [9.0]])
    found = lloyd_step(rows, torch.tensor([[1.0], [100.0]]))
    assert found.centres.flatten().tolist() == [3.0, 9.0]


def test_nearest_centres_are_found_in_parts(monkeypatch):
    rows, centres = drawn(30, 3), drawn(4, 3, seed=1)
    squared = torch.cdist(rows, centres).square()
    monkeypatch.setattr(clustering, "ELEMENTS_AT_ONCE", 8)
    found, codes = nearest_centres(rows, centres)
    torch.testing.assert_close(found, squared.min(dim=1).values)
    assert codes.tolist() == squared.argmin(dim=1).tolist()


def test_soft_assignments_and_their_targets_are_the_papers_formulas():
    codes, centres = drawn(6, 2), drawn(3, 2, seed=1)
    q = torch.zeros(6, 3, dtype=torch.float64)
    for i, j in itertools.product(range(6), range(3)):
        q[i, j] = 1 / (1 + sum((codes[i, k] - centres[j, k]) ** 2 for k in range(2)))
    q = q / q.sum(dim=1, keepdim=True)
    torch.testing.assert_close(soft_assignment(codes, centres), q)
    torch.testing.assert_close(log_soft_assignment(codes, centres), q.log())
    p = torch.zeros_like(q)
    for i, j in itertools.product(range(6), range(3)):
        p[i, j] = q[i, j] ** 2 / q[:, j].sum()
    torch.testing.assert_close(sharpened(q), p / p.sum(dim=1, keepdim=True))
    frequencies = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    expected = q.square() / frequencies
    torch.testing.assert_close(
        sharpened(q, frequencies), expected / expected.sum(dim=1, keepdim=True)
    )


@pytest.mark.parametrize("how", ["ward", "single", "average"])
def test_a_tree_is_cut_as_scipy_cuts_it(how):
    tree = linkage(drawn(25, 2).numpy(), how)
    merges = torch.from_numpy(tree[:, :2].astype(np.int64))
    for count in (1, 2, 7, 25):
        own = cut_tree(merges, count)
        assert len(own.unique()) == count
        assert adjusted_rand_score(fcluster(tree, count, "maxclust"), own) == 1.0
    with pytest.raises(ValueError, match="from 1 to 25"):
        cut_tree(merges, 26)


def test_a_knee_is_where_two_slopes_meet():
    curve = torch.cat([torch.arange(10) * 0.1, 1 + 5.0 * torch.arange(1, 6)])
    assert knee(curve) == 9
    assert knee(torch.ones(3)) == 0


def test_the_best_matching_is_the_best_of_all_permutations():
    generator = np.random.default_rng(0)
    truth, codes = generator.integers(0, 4, 50), generator.integers(0, 4, 50)
    best = max(
        np.mean(np.array(names)[codes] == truth) for names in itertools.permutations(range(4))
    )
    found = matched_accuracy(torch.from_numpy(truth), torch.from_numpy(codes))
    assert found == pytest.approx(best)
    noise = torch.from_numpy(np.where(np.arange(50) < 10, -1, truth))
    assert matched_accuracy(torch.from_numpy(truth), noise) == pytest.approx(0.8)
    assert matched_accuracy(torch.zeros(3, dtype=torch.int64), torch.full((3,), -1)) == 0.0


def test_a_silhouette_by_hand():
    rows = np.array([[0.0], [1.0], [5.0]])
    first, second = 1 - 1 / 5, 1 - 1 / 4  # own cluster 1 away, the other 5 and 4; alone: 0
    assert silhouette(rows, np.array([0, 0, 1])) == pytest.approx((first + second) / 3)


def test_a_plane_of_components_is_scikit_learns_and_has_as_many_dimensions_as_asked(flowers):
    expected = PCA(2).fit_transform(flowers.numpy())
    np.testing.assert_allclose(laid_out(flowers.numpy(), "pca"), expected)
    assert laid_out(flowers.numpy()[:, :1], "pca")[:, 1].tolist() == [0.0] * 150


@pytest.mark.slow
def test_a_plane_by_tsne_keeps_groups_apart_and_is_the_same_again(flowers):
    few = flowers[::3].numpy()
    plane = laid_out(few, seed=3)
    near = np.linalg.norm(plane[:, None] - plane, axis=2) + 1e9 * np.eye(50)
    setosa = np.arange(50) < 17
    assert (setosa[near.argmin(axis=1)] == setosa).all()
    assert np.array_equal(plane, laid_out(few, seed=3))


def divergence_by_loops(rows, codes, count, weight):
    """Pair by pair."""
    size = len(rows)
    wanted, given = torch.zeros(size, size).double(), torch.zeros(size, size).double()
    for i in range(size):
        others = [j for j in range(size) if j != i]
        for j in sorted(others, key=lambda j: float((rows[i] - rows[j]).norm()))[:count]:
            wanted[i, j] += 1
            wanted[j, i] += 1
        for j in others:
            given[i, j] = 1 / (1 + (codes[i] - codes[j]).square().sum())
    pairs = torch.outer(weight, weight)
    wanted, given = wanted * pairs, given * pairs
    wanted, given = wanted / wanted.sum(), given / given.sum()
    there = wanted > 0
    return (wanted[there] * (wanted[there] / given[there]).log()).sum()


def test_the_divergence_of_neighbours_is_its_formula_and_has_a_gradient():
    rows, codes = drawn(9, 3), drawn(9, 2, seed=1).requires_grad_()
    ones = torch.ones(9, dtype=torch.float64)
    for weight in (ones, torch.arange(9, dtype=torch.float64)):
        expected = divergence_by_loops(rows, codes, 2, weight)
        torch.testing.assert_close(neighbour_divergence(rows, codes, 2, weight), expected)
    plain = neighbour_divergence(rows, codes, 2)
    torch.testing.assert_close(plain, divergence_by_loops(rows, codes, 2, ones))
    assert plain > 0
    assert torch.autograd.gradcheck(lambda c: neighbour_divergence(rows, c, 2), (codes,))
    same = neighbour_divergence(rows, torch.zeros(9, 2, dtype=torch.float64), 20)
    assert same.item() == pytest.approx(0)  # all are near, and all are equally far
