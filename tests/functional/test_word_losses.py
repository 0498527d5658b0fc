"""Losses of word vectors against values by hand, limits, and numerical gradients."""

from __future__ import annotations

import math

import pytest
import torch

from glial.functional.word_losses import (
    glove,
    glove_weight,
    huffman_tree,
    kept_share,
    negative_sampling,
    noise_distribution,
    path_log_probability,
)


def test_noise_is_drawn_by_a_power_of_counts():
    counts = torch.tensor([0, 1, 16, 81])
    assert torch.allclose(
        noise_distribution(counts), torch.tensor([0, 1, 8, 27], dtype=torch.float64) / 36
    )
    shares = torch.tensor([0, 1, 16, 81], dtype=torch.float64) / 98
    assert torch.allclose(noise_distribution(counts, power=1.0), shares)
    uniform = torch.tensor([0, 1, 1, 1], dtype=torch.float64) / 3
    assert torch.allclose(noise_distribution(counts, power=0.0), uniform)


@pytest.mark.parametrize("share", [1e-4, 1e-2, 0.3])
def test_kept_shares_are_those_of_the_paper_and_of_the_code(share):
    counts = torch.tensor([round(1e6 * share), 10**6 - round(1e6 * share)])
    threshold = 1e-3
    paper = min(1.0, math.sqrt(threshold / share))
    # As word2vec.c has it.
    code = min(1.0, (math.sqrt(share / threshold) + 1) * threshold / share)
    assert float(kept_share(counts, threshold, "paper")[0]) == pytest.approx(paper)
    assert float(kept_share(counts, threshold, "code")[0]) == pytest.approx(code)
    assert kept_share(counts, 0.0).tolist() == [1, 1]


def test_negative_sampling_by_hand():
    def logistic(x):
        return 1 / (1 + math.exp(-x))

    scores, noise = torch.tensor([1.0, -2.0]), torch.tensor([[0.5, 0.0], [3.0, -1.0]])
    first = -math.log(logistic(1)) - math.log(logistic(-0.5)) - math.log(logistic(0))
    second = -math.log(logistic(-2)) - math.log(logistic(-3)) - math.log(logistic(1))
    expected = (first + second) / 2
    assert float(negative_sampling(scores, noise)) == pytest.approx(expected, rel=1e-6)
    # The same where pairs share rows of noise, in another order.
    shared = negative_sampling(scores, noise.flip(0), row=torch.tensor([1, 0]))
    assert float(shared) == pytest.approx(expected, rel=1e-6)


def test_more_noise_is_the_same_loss_in_expectation():
    scores, noise = torch.zeros(1), torch.tensor([[1.0, -2.0, 0.3, 0.7]])
    alone = [float(negative_sampling(scores, part[:, None])) for part in noise[0].split(1)]
    together = float(negative_sampling(scores, noise, num_noise=1))
    assert together == pytest.approx(sum(alone) / 4)


def test_no_pair_costs_nothing():
    assert float(negative_sampling(torch.zeros(0), torch.zeros(0, 3))) == 0


def test_gradient_of_negative_sampling_by_hand():
    # d/ds = sigmoid(s) - 1, and of noise sigmoid(n), over the number of pairs.
    scores = torch.tensor([0.3, -1.0], requires_grad=True)
    noise = torch.tensor([[0.2], [-0.4]], requires_grad=True)
    negative_sampling(scores, noise).backward()
    assert torch.allclose(scores.grad, (scores.detach().sigmoid() - 1) / 2)
    assert torch.allclose(noise.grad, noise.detach().sigmoid() / 2)


def test_gradients_are_numerical_ones():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda s, n: negative_sampling(s, n, num_noise=2), [scores, noise]
    )
    counts = torch.tensor([0.5, 1, 20, 100, 300], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: glove(s, counts), [scores])
    nodes, turns = huffman_tree(torch.tensor([5, 2, 1, 1, 1]))
    paths = torch.randn(nodes.shape, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: path_log_probability(s, nodes, turns), [paths])


def test_huffman_tree_by_hand():
    # a 5, b 2, c 1, d 1: c and d are node 0 (2), b and it node 1 (4), it and a the root (9).
    nodes, turns = huffman_tree(torch.tensor([5, 2, 1, 1]))
    assert nodes.tolist() == [[2, -1, -1], [2, 1, -1], [2, 1, 0], [2, 1, 0]]
    assert turns.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 1]]


@pytest.mark.parametrize("number", [2, 3, 7, 50])
def test_huffman_trees_are_optimal_and_their_probabilities_sum_to_one(number):
    generator = torch.Generator().manual_seed(number)
    counts = torch.randint(1, 1000, (number,), generator=generator)
    nodes, turns = huffman_tree(counts)
    lengths = (nodes >= 0).sum(dim=1)
    # Kraft's sum is 1 for a whole tree, and the mean length is within a bit of the entropy.
    assert float((0.5 ** lengths.double()).sum()) == pytest.approx(1)
    shares = counts / counts.sum()
    entropy = -float((shares * shares.log2()).sum())
    assert entropy <= float((shares * lengths).sum()) < entropy + 1
    table = torch.randn(number - 1, 4, generator=generator)
    scores = (table[nodes.clamp_min(0)] @ torch.randn(4, 1, generator=generator))[..., 0]
    whole = path_log_probability(scores, nodes, turns).exp().sum()
    assert float(whole) == pytest.approx(1, abs=1e-5)


def test_glove_by_hand():
    counts = torch.tensor([1.0, 200.0])
    weights = [0.01**0.75, 1.0]
    errors = [(0.5 - 0.0) ** 2, (5.0 - math.log(200)) ** 2]
    expected = sum(w * e for w, e in zip(weights, errors, strict=True)) / 2
    assert float(glove(torch.tensor([0.5, 5.0]), counts)) == pytest.approx(expected, rel=1e-5)
    assert glove_weight(torch.tensor([8.0]), x_max=16.0, alpha=1.0).tolist() == [0.5]


@pytest.mark.slow
def test_negative_sampling_at_its_best_is_shifted_mutual_information():
    # Levy and Goldberg (2014): with vectors long enough, noise by the unigram distribution and k
    # words of it, scores are PMI(w, c) - ln k at the minimum.
    table = torch.tensor([[3, 1, 2], [1, 4, 1], [2, 1, 5]])
    row, column = [part.repeat_interleave(table.flatten()) for part in _cells(3)]
    total, margin = table.sum(), table.sum(dim=0)
    noise = torch.arange(3).repeat_interleave(margin)  # each word as often as it stands there
    k = 2
    generator = torch.Generator().manual_seed(0)
    words, contexts = [
        torch.randn(3, 3, generator=generator, dtype=torch.float64).requires_grad_() for _ in "ab"
    ]
    fitting = torch.optim.LBFGS(
        [words, contexts], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def loss():
        fitting.zero_grad()
        scores = words @ contexts.T
        value = negative_sampling(scores[row, column], scores[:, noise], row=row, num_noise=k)
        value.backward()
        return value

    fitting.step(loss)
    mutual = (table * total / (margin[:, None] * margin)).double().log()
    assert torch.allclose(words @ contexts.T, mutual - math.log(k), atol=1e-3)


def _cells(size):
    places = torch.arange(size)
    return places.repeat_interleave(size), places.repeat(size)
