"""Losses by which vectors of words are learnt from the words around them.

Scores are inner products of a word's vector with vectors of contexts. Negative sampling and
hierarchical softmax stand in for the softmax over all words; GloVe fits logarithms of counts.
"""

from __future__ import annotations

import heapq
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

Subsampling = Literal["code", "paper"]


def noise_distribution(counts: Int[Tensor, " word"], power: float = 0.75) -> Float[Tensor, " word"]:
    """How likely each word is drawn as noise: its count to a power, over their sum.

    Args:
        counts: How often each word stands in the text, at least one of them positive.
        power: 1 is the unigram distribution, 0 the uniform one over words that stand there.

    Source:
        Mikolov, Sutskever, Chen, Corrado, Dean (2013), "Distributed representations of words and
        phrases and their compositionality", arXiv 1310.4546, section 2.2.

    Example:
        >>> noise_distribution(torch.tensor([1, 16]))  # 1 to 8
        tensor([0.1111, 0.8889], dtype=torch.float64)
    """
    weights = torch.where(counts > 0, counts.double() ** power, 0.0)
    return weights / weights.sum()


def kept_share(
    counts: Int[Tensor, " word"], threshold: float = 1e-3, formula: Subsampling = "code"
) -> Float[Tensor, " word"]:
    r"""With which chance each occurrence of a word is kept, so that frequent words are thinned.

    With f the share of the text that a word makes and t the threshold, the paper keeps
    :math:`\sqrt{t/f}`; the authors' code, which others follow, :math:`\sqrt{t/f} + t/f`. Both are
    cut at 1.

    Args:
        counts: How often each word stands in the text.
        threshold: The share t; 0 keeps everything.
        formula: The code's or the paper's.

    Source:
        Mikolov et al. (2013), arXiv 1310.4546, eq. (5), and ``word2vec.c`` of the same authors.

    Example:
        >>> counts = torch.tensor([1, 99])
        >>> [round(float(kept_share(counts, 0.01, f)[1]), 4) for f in ("paper", "code")]
        [0.1005, 0.1106]
    """
    if threshold == 0:
        return torch.ones(counts.shape, dtype=torch.float64)
    ratio = threshold * counts.sum() / counts.double().clamp_min(1)
    share = ratio.sqrt() + (ratio if formula == "code" else 0.0)
    return share.clamp_max(1.0)


def negative_sampling(
    scores: Float[Tensor, " pair"],
    noise: Float[Tensor, "row noise"],
    *,
    row: Int[Tensor, " pair"] | None = None,
    num_noise: int | None = None,
) -> Float[Tensor, ""]:
    r"""A pair of words is told from noise: :math:`-\ln\sigma(s) - \sum_{i=1}^k \ln\sigma(-n_i)`.

    Where more or less noise is drawn than k, each of it weighs k over its number: the same loss in
    expectation, so that all pairs of a batch may share one draw.

    Args:
        scores: Of pairs that stand in the text.
        noise: Scores of words with words of noise, a row for each pair.
        row: Which row of noise each pair has, where pairs share some.
        num_noise: The number k; None is as many as were drawn.

    Returns:
        The mean over pairs; 0 of none.

    Source:
        Mikolov et al. (2013), arXiv 1310.4546, eq. (4).

    Example:
        >>> negative_sampling(torch.zeros(1), torch.zeros(1, 4))  # 5 ln 2
        tensor(3.4657)
    """
    drawn = noise.shape[1]
    share = 1.0 if num_noise is None or not drawn else num_noise / drawn
    told = softplus(noise).sum(dim=1)
    told = told if row is None else told.index_select(0, row)
    losses = softplus(-scores) + share * told
    return losses.sum() / max(1, losses.shape[0])


def huffman_tree(
    counts: Int[Tensor, " word"],
) -> tuple[Int[Tensor, "word depth"], Int[Tensor, "word depth"]]:
    """Each word's path from the root of a binary tree in which frequent words lie high.

    Of equally rare parts those made first are joined first, so the tree is always the same.

    Args:
        counts: How often each word stands in the text, two words or more.

    Returns:
        The inner nodes on the way, from the root on, and the turn at each, 0 or 1; behind a word's
        end nodes are -1. There is one inner node less than words, and the root is the last.

    Source:
        Huffman (1952), doi:10.1109/JRPROC.1952.273898; for words: Mikolov, Chen, Corrado, Dean
        (2013), "Efficient estimation of word representations in vector space", arXiv 1301.3781.

    Example:
        >>> nodes, turns = huffman_tree(torch.tensor([5, 2, 1]))
        >>> nodes.tolist(), turns.tolist()
        ([[1, -1], [1, 0], [1, 0]], [[1, 0], [0, 1], [0, 0]])
    """
    number = counts.shape[0]
    parent, turn = [0] * (2 * number - 1), [0] * (2 * number - 1)
    waiting = [(int(count), place) for place, count in enumerate(counts.tolist())]
    heapq.heapify(waiting)
    for made in range(number, 2 * number - 1):
        (less, first), (more, second) = heapq.heappop(waiting), heapq.heappop(waiting)
        parent[first] = parent[second] = made
        turn[second] = 1
        heapq.heappush(waiting, (less + more, made))
    ways: list[list[int]] = [[] for _ in range(2 * number - 1)]
    turns: list[list[int]] = [[] for _ in range(2 * number - 1)]
    for place in range(2 * number - 3, -1, -1):
        above = parent[place]
        ways[place] = [*ways[above], above - number]
        turns[place] = [*turns[above], turn[place]]
    depth = max((len(way) for way in ways[:number]), default=0)
    nodes = torch.full((number, depth), -1)
    taken = torch.zeros((number, depth), dtype=torch.long)
    for word in range(number):
        nodes[word, : len(ways[word])] = torch.tensor(ways[word], dtype=torch.long)
        taken[word, : len(ways[word])] = torch.tensor(turns[word], dtype=torch.long)
    return nodes, taken


def path_log_probability(
    scores: Float[Tensor, "row depth"],
    nodes: Int[Tensor, "row depth"],
    turns: Int[Tensor, "row depth"],
) -> Float[Tensor, " row"]:
    r"""The logarithm of a word's probability, the product of its path's turns.

    A turn 0 at a node of score s has the probability :math:`\sigma(s)`, a turn 1
    :math:`\sigma(-s)`; so those of all words sum to 1.

    Args:
        scores: Of the nodes on each path.
        nodes: Those nodes; negative ones are no part of the path.
        turns: The turn at each, 0 or 1.

    Source:
        Morin and Bengio (2005), "Hierarchical probabilistic neural network language model";
        Mikolov et al. (2013), arXiv 1310.4546, eq. (3).

    Example:
        >>> path_log_probability(torch.zeros(1, 2), torch.tensor([[1, -1]]), torch.tensor([[1, 0]]))
        tensor([-0.6931])
    """
    signs = 1.0 - 2.0 * turns
    return logsigmoid(signs * scores).where(nodes >= 0, 0.0).sum(dim=1)


def glove_weight(
    counts: Float[Tensor, " pair"], *, x_max: float = 100.0, alpha: float = 0.75
) -> Float[Tensor, " pair"]:
    r"""How much a count weighs: :math:`(x / x_{max})^\alpha`, and 1 from the largest on.

    Args:
        counts: How often two words stand near each other, at least 0.
        x_max: The count from which on all weigh alike; positive.
        alpha: The power.

    Source:
        Pennington, Socher, Manning (2014), "GloVe: global vectors for word representation",
        doi:10.3115/v1/D14-1162, eq. (9).

    Example:
        >>> glove_weight(torch.tensor([0.0, 6.25, 100.0, 1000.0]))
        tensor([0.0000, 0.1250, 1.0000, 1.0000])
    """
    return (counts / x_max).clamp_max(1.0) ** alpha


def glove(
    scores: Float[Tensor, " pair"],
    counts: Float[Tensor, " pair"],
    *,
    x_max: float = 100.0,
    alpha: float = 0.75,
) -> Float[Tensor, ""]:
    r"""Weighted least squares of logarithms: :math:`f(X)\,(s - \ln X)^2`.

    Args:
        scores: Inner products of the two words' vectors and the sum of their biases.
        counts: How often the two stand near each other; positive.
        x_max: See `glove_weight`.
        alpha: See `glove_weight`.

    Returns:
        The mean over pairs, where the paper has the sum.

    Source:
        Pennington et al. (2014), eq. (8).

    Example:
        >>> glove(torch.tensor([2.0]), torch.tensor([1.0]), x_max=1.0)
        tensor(4.)
    """
    errors = (scores - counts.log()).square()
    return (glove_weight(counts, x_max=x_max, alpha=alpha) * errors).mean()
