"""Losses of metric learning: by hand, against plain loops, gradients, and where nothing is told."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from glial.functional import (
    contrastive,
    cosine_similarities,
    pairwise_distances,
    proxy_anchor,
    proxy_nca,
    triplet,
)

SEEDS = st.integers(0, 2**31 - 1)
LINE = torch.tensor([[0.0], [1.0], [1.5], [4.0]], dtype=torch.float64)
TWO_AND_TWO = torch.tensor([0, 0, 1, 1])


def drawn(seed, rows=7, features=3, classes=3):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(rows, features, generator=generator, dtype=torch.float64)
    return points, torch.randint(classes, (rows,), generator=generator)


PAIRED = {
    "contrastive": contrastive,
    "hard": lambda x, y, **o: triplet(x, y, mining="hard", **o),
    "semi_hard": lambda x, y, **o: triplet(x, y, mining="semi_hard", **o),
    "soft": lambda x, y, **o: triplet(x, y, margin=None, **o),
    "squared": lambda x, y, **o: triplet(x, y, mining="semi_hard", squared=True, **o),
}


def test_equal_vectors_have_distance_zero_and_a_finite_gradient():
    points = torch.tensor([[1.1, 2.3], [1.1, 2.3], [0.0, 0.0]], requires_grad=True)
    distances = pairwise_distances(points, points)
    assert distances[0, 1].item() == 0.0
    (gradient,) = torch.autograd.grad(distances.sum(), points)
    assert gradient.isfinite().all()


def test_contrastive_by_hand():
    # Distances: of one class 1 and 2.5; of two classes 1.5, 4, 0.5 and 3, of which one is near.
    near, far = (0.5 + 3.125) / 2, 0.5 * 0.5**2 / 4
    assert contrastive(LINE, TWO_AND_TWO).item() == pytest.approx(near + far)
    # Weight 2 of the first row: its pairs count twice.
    weight = torch.tensor([2.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    near, far = (2 * 0.5 + 3.125) / 3, 0.125 / 6
    assert contrastive(LINE, TWO_AND_TWO, weight=weight).item() == pytest.approx(near + far)


def test_a_pair_alone_is_hadsells_loss():
    points = torch.tensor([[0.0, 0.0], [0.3, 0.4]])
    assert contrastive(points, torch.tensor([1, 1])).item() == pytest.approx(0.5 * 0.25)
    assert contrastive(points, torch.tensor([0, 1])).item() == pytest.approx(0.5 * 0.25)
    assert contrastive(points, torch.tensor([0, 1]), margin=0.4).item() == 0.0


def test_hard_triplets_by_hand():
    # Farthest of the class minus nearest of the other: 1 - 1.5, 1 - 0.5, 2.5 - 0.5, 2.5 - 3.
    assert triplet(LINE, TWO_AND_TWO, margin=0.2).item() == pytest.approx((0.7 + 2.2) / 4)
    soft = sum(math.log1p(math.exp(gap)) for gap in (-0.5, 0.5, 2.0, -0.5)) / 4
    assert triplet(LINE, TWO_AND_TWO, margin=None).item() == pytest.approx(soft)
    weight = torch.tensor([1.0, 1.0, 0.0, 2.0], dtype=torch.float64)
    assert triplet(LINE, TWO_AND_TWO, weight=weight).item() == pytest.approx(0.7 / 4)


def test_semi_hard_triplets_by_hand():
    # Pair (0, 1): the nearest beyond 1 is at 1.5, then margin 1 gives 0.5. Pair (1, 0): beyond 1
    # stands 3, which gives 0. Pair (1.5, 4): none beyond 2.5, so the farthest, 1.5: 2.5 - 1.5 + 1.
    # Pair (4, 1.5): the nearest beyond 2.5 is at 3: 2.5 - 3 + 1.
    found = triplet(LINE, TWO_AND_TWO, margin=1.0, mining="semi_hard")
    assert found.item() == pytest.approx((0.5 + 0.0 + 2.0 + 0.5) / 4)
    squared = triplet(LINE, TWO_AND_TWO, margin=2.0, mining="semi_hard", squared=True)
    expected = [1 - 2.25 + 2, 0.0, 6.25 - 2.25 + 2, 6.25 - 9 + 2]
    assert squared.item() == pytest.approx(sum(max(0.0, one) for one in expected) / 4)


def loops_hard(points, labels, margin):
    found = []
    for a, point in enumerate(points):
        of = [float((point - other).norm()) for other in points]
        same = [of[b] for b in range(len(points)) if b != a and labels[b] == labels[a]]
        rest = [of[b] for b in range(len(points)) if labels[b] != labels[a]]
        if same and rest:
            found.append(max(0.0, max(same) - min(rest) + margin))
    return sum(found) / len(found) if found else 0.0


def loops_semi_hard(points, labels, margin):
    found = []
    for a, point in enumerate(points):
        of = [float((point - other).norm()) for other in points]
        rest = [of[b] for b in range(len(points)) if labels[b] != labels[a]]
        for b in range(len(points)):
            if b != a and labels[b] == labels[a] and rest:
                beyond = [one for one in rest if one > of[b]]
                negative = min(beyond) if beyond else max(rest)
                found.append(max(0.0, of[b] - negative + margin))
    return sum(found) / len(found) if found else 0.0


def loops_contrastive(points, labels, margin):
    near, far = [], []
    for a in range(len(points)):
        for b in range(len(points)):
            distance = float((points[a] - points[b]).norm())
            if a != b and labels[a] == labels[b]:
                near.append(distance**2 / 2)
            elif a != b:
                far.append(max(0.0, margin - distance) ** 2 / 2)
    return sum(sum(part) / len(part) for part in (near, far) if part)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 9), st.integers(1, 4))
def test_losses_of_pairs_are_those_of_plain_loops(seed, rows, classes):
    points, labels = drawn(seed, rows=rows, classes=classes)
    expected = loops_hard(points, labels, 0.3)
    assert triplet(points, labels, margin=0.3).item() == pytest.approx(expected)
    expected = loops_semi_hard(points, labels, 0.3)
    found = triplet(points, labels, margin=0.3, mining="semi_hard")
    assert found.item() == pytest.approx(expected)
    expected = loops_contrastive(points, labels, 1.5)
    assert contrastive(points, labels, margin=1.5).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", PAIRED)
def test_gradients_of_losses_of_pairs(name):
    points, labels = drawn(3)
    weight = torch.linspace(0.5, 2.0, 7, dtype=torch.float64)
    for options in ({}, {"weight": weight}):
        assert torch.autograd.gradcheck(
            lambda x, options=options: PAIRED[name](x, labels, **options), points.requires_grad_()
        )


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [5, 5, 5, 5], [0, 0, 0, 1]])
def test_batches_without_partners_or_others_give_finite_losses_and_gradients(name, labels):
    points = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = PAIRED[name](points, torch.tensor(labels))
    (gradient,) = torch.autograd.grad(loss, points)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    if name != "contrastive" and len(set(labels)) != 2:
        assert loss.item() == 0.0
        assert not gradient.any()


@pytest.mark.parametrize("name", PAIRED)
def test_losses_do_not_hang_on_the_order_of_rows_or_the_names_of_classes(name):
    points, labels = drawn(1)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(2))
    renamed = torch.tensor([7, 3, 9])[labels]
    loss = PAIRED[name](points, labels)
    torch.testing.assert_close(PAIRED[name](points[order], renamed[order]), loss)


@pytest.mark.parametrize("name", PAIRED)
def test_weights_that_are_all_alike_change_nothing(name):
    points, labels = drawn(5)
    both = [PAIRED[name](points, labels, weight=torch.full((7,), w).double()) for w in (1.0, 2.0)]
    torch.testing.assert_close(both[0], both[1])
    torch.testing.assert_close(both[0], PAIRED[name](points, labels))


def test_cosines_are_torchs():
    points, _ = drawn(0)
    others, _ = drawn(1, rows=4)
    expected = F.cosine_similarity(points[:, None], others[None], dim=2)
    torch.testing.assert_close(cosine_similarities(points, others), expected)
    zero = torch.zeros(1, 3, dtype=torch.float64)
    assert cosine_similarities(zero, others).tolist() == [[0.0] * 4]


def test_proxy_nca_is_cross_entropy_of_similarities():
    similarities = torch.tensor([[0.9, 0.1, -0.5], [0.2, 0.3, 0.4]], dtype=torch.float64)
    labels = torch.tensor([0, 2])
    by_hand = [
        math.log(sum(math.exp((s - row[label]) / 0.2) for s in row))
        for row, label in zip(similarities.tolist(), labels.tolist(), strict=True)
    ]
    found = proxy_nca(similarities, labels, temperature=0.2)
    assert found.item() == pytest.approx(sum(by_hand) / 2)
    lowered = similarities - 0.3 * F.one_hot(labels, 3)
    expected = F.cross_entropy(lowered / 0.2, labels, label_smoothing=0.1)
    told = proxy_nca(similarities, labels, temperature=0.2, margin=0.3, label_smoothing=0.1)
    torch.testing.assert_close(told, expected)


def test_proxy_nca_by_squared_distances():
    """A softmax over minus squared distances of unit vectors, at twice the temperature."""
    points, labels = drawn(2)
    proxies, _ = drawn(4, rows=3)
    unit = [F.normalize(part, dim=1) for part in (points, proxies)]
    expected = F.cross_entropy(-pairwise_distances(*unit).square() / 0.2, labels)
    found = proxy_nca(cosine_similarities(points, proxies), labels, temperature=0.1)
    torch.testing.assert_close(found, expected)


def test_rows_of_classes_without_a_proxy_count_nothing():
    similarities = torch.tensor([[0.9, 0.1], [0.2, 0.3], [0.5, 0.5]])
    some = proxy_nca(similarities, torch.tensor([0, -1, 2]))
    torch.testing.assert_close(some, proxy_nca(similarities[:1], torch.tensor([0])))
    assert proxy_nca(similarities, torch.tensor([4, 4, 4])).item() == 0.0


def test_proxy_anchor_by_hand():
    similarities = torch.tensor([[0.5, 0.2, -0.1], [0.3, 0.6, 0.0]], dtype=torch.float64)
    labels, scale, margin = torch.tensor([0, 0]), 4.0, 0.1
    drawn_in = math.log1p(math.exp(-scale * 0.4) + math.exp(-scale * 0.2))  # the first proxy alone
    pushed = [0.0] + [
        math.log1p(sum(math.exp(scale * (s + margin)) for s in column))
        for column in ((0.2, 0.6), (-0.1, 0.0))
    ]
    found = proxy_anchor(similarities, labels, margin=margin, scale=scale)
    assert found.item() == pytest.approx(drawn_in + sum(pushed) / 3)


@pytest.mark.parametrize("loss", [proxy_nca, proxy_anchor])
def test_gradients_reach_embeddings_and_proxies(loss):
    points, labels = drawn(0)
    proxies, _ = drawn(9, rows=3)
    assert torch.autograd.gradcheck(
        lambda x, p: loss(cosine_similarities(x, p), labels),
        (points.requires_grad_(), proxies.requires_grad_()),
    )


@pytest.mark.parametrize("loss", [proxy_nca, proxy_anchor])
def test_rows_at_their_proxies_cost_less_than_rows_at_others(loss):
    proxies = torch.eye(3)
    right, wrong = (
        loss(cosine_similarities(proxies.roll(shift, 0), proxies), torch.arange(3))
        for shift in (0, 1)
    )
    assert right < wrong
